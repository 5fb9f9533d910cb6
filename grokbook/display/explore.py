"""Controls to play with: sliders over frames that need no kernel, and ipywidgets for a live one."""

import base64
import html
import io
import json

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import HTML
from PIL import Image

from grokbook.display import figures, inline

MAX_FRAMES = 40


def scrub(draw, values, *, name, label, alt, panels=1, height=3.0, form="{:.2f}", start=0):
    """A slider through pictures drawn now, so that it moves in a page without a kernel.

    draw(axes, value) draws one frame; panels stand one under the other, so that a telephone shows them large enough to
    read, each `height` inches high. values: at most 40; name: unique in the page; label: what the slider changes; alt:
    a text, or a function of the value; form: how a value is written, a format string or a function.
    Returns an HTML object. Raises ValueError for no values or too many.
    """
    values = list(values)
    if not 1 <= len(values) <= MAX_FRAMES:
        raise ValueError(f"got {len(values)} values; a scrubber takes 1 to {MAX_FRAMES}, thin them out")
    if not -len(values) <= start < len(values):
        raise ValueError(f"start={start} is outside the {len(values)} values")
    write = form if callable(form) else form.format
    frames = [_frame(draw, value, panels, height) for value in values]
    texts = [write(value) for value in values]
    describe = alt if callable(alt) else lambda value: f"{alt} ({label}: {write(value)})"
    alts = [describe(value) for value in values]
    return HTML(_page(name, label, frames, texts, alts, start % len(values)))


def live(draw, *, columns=1, height=3.0, **controls):
    """The same picture with a live kernel: one ipywidgets slider for each `name=(low, high, step)`.

    draw(axes, **values) draws on new axes whenever a slider is let go.
    """

    def redraw(**values):
        _, axes = figures.canvas(columns=columns, height=height)
        draw(axes, **values)
        plt.show()

    sliders = {
        name: ipywidgets.FloatSlider((low + high) / 2, min=low, max=high, step=step, continuous_update=False)
        for name, (low, high, step) in controls.items()
    }
    return ipywidgets.interactive(redraw, **sliders)


def _frame(draw, value, panels, height):
    """One picture as a data address: a PNG of at most 64 colours, a third of the size of the full one."""
    figure, axes = figures.canvas(rows=panels, height=height)
    buffer = io.BytesIO()
    try:
        draw(axes, value)
        figure.savefig(buffer, format="png", dpi=figures.STYLE["savefig.dpi"])
    finally:
        plt.close(figure)
    picture = Image.open(buffer).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    small = io.BytesIO()
    picture.save(small, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()


def _page(name, label, frames, texts, alts, start):
    """The slider as HTML with its own script; no address outside the page."""
    data = json.dumps({"frames": frames, "texts": texts, "alts": alts}).replace("</", "<\\/")
    # Prefixed, because a page's sections have ids too, and a chapter may name its scrubber like its title.
    identifier, caption = html.escape(f"scrubber-{name}", quote=True), html.escape(label)
    return f"""<figure class="scrubber" id="{identifier}">
<img src="{frames[start]}" alt="{html.escape(alts[start], quote=True)}" style="max-width:100%;height:auto">
<div class="scrubber-controls">
<label for="{identifier}-range">{caption}</label>
<input id="{identifier}-range" type="range" min="0" max="{len(frames) - 1}" step="1" value="{start}">
<output for="{identifier}-range">{html.escape(texts[start])}</output>
</div>
<script>
(function () {{
  const root = document.getElementById({json.dumps(f"scrubber-{name}")}), data = {data};
  const range = root.querySelector("input"), image = root.querySelector("img"), output = root.querySelector("output");
  function show() {{
    const i = Number(range.value);
    image.src = data.frames[i];
    image.alt = data.alts[i];
    output.textContent = data.texts[i];
    range.setAttribute("aria-valuetext", data.texts[i]);
  }}
  range.addEventListener("input", show);
  show();
}})();
</script>
</figure>"""


# In the order in which they need each other. The first ones know no page, and run in a worker too.
SOLVER_MODULES = ("activations", "tile", "products", "problem", "eq20", "holding", "training", "session")
PAGE_MODULES = ("connect", "live", "plots", "page", "pictures", "play")
# What the page allows, for whoever writes a preset; the modules say it to the reader.
PLAY_LIMITS = {
    "p": (7, 37),
    "share": (30, 95),
    "width": (8, 720),
    "size": (0.2, 10),
    "seed": (0, 99999),
    "decay": (0.003, 3),
    "norm": (20, 20000),
}
PLAY_CHOICES = {"activation": ("relu", "gelu", "square"), "motion": ("flow", "hold", "train")}


def play(name, **preset):
    """Eq. 20 live in the reader's browser, without a kernel: what a page starts with is `preset`.

    name: unique in the page; preset: p, share (of training pairs, in %), width, size (of the start, in units of
    p^(−1/2)), seed, activation ("relu", "gelu", "square"), motion ("flow": Eq. 20, "hold": constant norm, "train":
    gradient descent), norm (‖E‖² + ‖W‖² to hold) and decay (λ). Returns an HTML object. Raises ValueError for a name or
    a value that the page does not know."""
    for key, value in preset.items():
        low, high = PLAY_LIMITS.get(key, (None, None))
        if key not in PLAY_LIMITS and key not in PLAY_CHOICES:
            raise ValueError(f"{key}={value!r} is unknown; known are {', '.join([*PLAY_LIMITS, *PLAY_CHOICES])}")
        if key in PLAY_CHOICES and value not in PLAY_CHOICES[key]:
            raise ValueError(f"{key}={value!r} must be one of {', '.join(PLAY_CHOICES[key])}")
        if key in PLAY_LIMITS and not low <= value <= high:
            raise ValueError(f"{key}={value} must lie between {low} and {high}")
    script = f"""{_play_script()}
const root = document.getElementById({json.dumps(f"play-{name}")});
new $play.Explorable(root, {json.dumps(preset)}, (hear) => $connect.connected(solver, hear));"""
    return inline.explorable("play", name, "Eq. 20 live", script)


def _play_script():
    """The modules as one script. The solver is a function, of whose own text a worker is made, without an address."""
    names = ", ".join(f"${name}" for name in SOLVER_MODULES)
    return f"""function solver() {{
{"".join(map(inline.module, SOLVER_MODULES))}return {{ {names} }};
}}
const {{ {names} }} = solver();
{"".join(map(inline.module, PAGE_MODULES))}"""
