import os
import random
import re
import sys

from common import params

values = params("prepare")
random.seed(int(values["seed"]))
os.makedirs(os.path.join("data", "prepared"), exist_ok=True)
with open(sys.argv[1]) as file, \
        open("data/prepared/train.tsv", "w") as train, open("data/prepared/test.tsv", "w") as test:
    for number, tag, title in re.findall(r'Id="(\d+)" Tags="(\w)" Title="([^"]*)"', file.read()):
        target = test if random.random() < values["split"] else train
        target.write(f"{number}\t{int(tag == 'r')}\t{title}\n")
