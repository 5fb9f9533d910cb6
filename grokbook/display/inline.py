"""What runs live in a page, as HTML that asks for nothing outside it: the parts of live/, written into the page."""

import re
from importlib import resources

from IPython.display import HTML


def part(name):
    """The text of a file of live/."""
    return (resources.files("grokbook.display") / "live" / name).read_text(encoding="utf-8")


def module(name):
    """An ES module as a constant $name, a scope of its own that returns what it exports: no address is needed."""
    source = part(f"{name}.js")
    exports = ", ".join(re.findall(r"^export (?:function\*?|class|const) (\w+)", source, re.MULTILINE))
    source = re.sub(r'^import (\{[^}]*\}) from "\./(\w+)\.js";', r"const \1 = $\2;", source, flags=re.MULTILINE)
    source = re.sub("^export ", "", source, flags=re.MULTILINE)
    return f"const ${name} = (() => {{\n{source}return {{ {exports} }};\n}})();\n"


def styles(kind):
    """The CSS of an explorable: what all have, then its own."""
    return part("live.css") + part(f"{kind}.css")


def explorable(kind, name, label, script):
    """An explorable: an element with the id KIND-NAME, its styles, and the script that fills it.

    kind: the name of its CSS file; name: unique in the page; label: what it is, for whoever does not see it. Returns an
    HTML object. Raises ValueError for a name that cannot be an id.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"name={name!r} must consist of lower-case letters, digits and hyphens, a letter first")
    return HTML(f"""<div class="live {kind}" id="{kind}-{name}" role="group" aria-label="{label}">
<p>This explorable needs JavaScript.</p></div>
<style>
{styles(kind)}</style>
<script>
(() => {{
{script}
}})();
</script>""")
