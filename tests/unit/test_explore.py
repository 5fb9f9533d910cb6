import base64
import io
import json
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from grokbook.display import explore, figures


def draw_bar(ax, value):
    ax.bar([0], [value], color=figures.COLORS[0])
    ax.set(ylim=(0, 3))


def data_of(page):
    return json.loads(re.search(r"data = (\{.*?\});", page.data, re.DOTALL)[1])


def picture(address):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB")).astype(int)


def test_a_scrubber_holds_every_frame_and_shows_the_first():
    page = explore.scrub(draw_bar, [0, 1, 2], name="bar", label="height", alt="One bar")
    data = data_of(page)
    assert data["texts"] == ["0.00", "1.00", "2.00"]
    blue = [int((picture(frame)[:, :, 2] > picture(frame)[:, :, 0] + 50).sum()) for frame in data["frames"]]
    assert blue[0] < blue[1] < blue[2]
    assert f'src="{data["frames"][0]}"' in page.data
    assert 'alt="One bar (height: 0.00)"' in page.data
    assert 'max="2"' in page.data


def test_the_alternative_text_may_follow_the_value():
    page = explore.scrub(draw_bar, [1, 2], name="bar", label="height", alt=lambda v: f"A bar of {v}", start=-1)
    assert data_of(page)["alts"] == ["A bar of 1", "A bar of 2"]
    assert 'value="1"' in page.data


def test_text_cannot_break_out_of_the_page():
    page = explore.scrub(draw_bar, [1], name="bar", label="</label><b>", alt='"><i>', form=lambda v: "</script>")
    markup = page.data.split("<script>")[0]
    assert "<b>" not in markup
    assert "<i>" not in markup
    assert page.data.count("</script>") == 1


def test_the_script_finds_its_own_figure_beside_a_section_of_the_same_name():
    page = explore.scrub(draw_bar, [1], name="circles", label="height", alt="One bar").data
    assert '<figure class="scrubber" id="scrubber-circles">' in page
    assert 'getElementById("scrubber-circles")' in page


def test_a_scrubber_asks_nobody():
    page = explore.scrub(draw_bar, [1], name="bar", label="height", alt="One bar")
    assert "http" not in page.data


def test_a_scrubber_leaves_no_open_figure():
    explore.scrub(draw_bar, [1, 2], name="bar", label="height", alt="One bar")
    assert plt.get_fignums() == []


@pytest.mark.parametrize("count", [0, explore.MAX_FRAMES + 1])
def test_too_few_or_too_many_values(count):
    with pytest.raises(ValueError, match=f"{count} values"):
        explore.scrub(draw_bar, range(count), name="bar", label="height", alt="One bar")


def test_a_start_outside():
    with pytest.raises(ValueError, match="start=3"):
        explore.scrub(draw_bar, [1, 2], name="bar", label="height", alt="One bar", start=3)


def test_live_draws_at_the_sliders_value(monkeypatch):
    seen = []
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    widget = explore.live(lambda ax, amount: seen.append(amount), amount=(0.0, 2.0, 0.5))
    slider = widget.children[0]
    assert isinstance(slider, ipywidgets.FloatSlider)
    assert (slider.min, slider.max, slider.step, slider.value) == (0.0, 2.0, 0.5, 1.0)
    assert not slider.continuous_update
    widget.update()
    slider.value = 2.0
    assert seen[-1] == 2.0


def test_a_picture_that_fails_leaves_no_figure_open():
    def fails(ax, value):
        raise RuntimeError("no picture")

    with pytest.raises(RuntimeError, match="no picture"):
        explore.scrub(fails, [1], name="bar", label="height", alt="One bar")
    assert not plt.get_fignums()
