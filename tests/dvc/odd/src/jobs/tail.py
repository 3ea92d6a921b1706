import sys

with open(sys.argv[1]) as rows, open(sys.argv[2], "w") as kept:
    kept.writelines(rows.readlines()[3:])
