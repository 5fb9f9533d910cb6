"""What a program that has imported part of the package cites."""

import re
import subprocess
import sys

from grokbook import citations


def test_without_names_it_is_what_the_program_has_imported():
    def keys(program):
        output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        return re.findall(r"@\w+\{(\w+),", output)

    assert keys("import grokbook; grokbook.cite()") == ["grokbook", citations.PAPER]
    noise = keys("import grokbook; from grokbook import noise; grokbook.cite()")
    assert noise == ["grokbook", citations.PAPER, "li2021what"]
