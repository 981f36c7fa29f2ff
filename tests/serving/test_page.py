"""The page in a real browser: Chromium under Playwright, on a model that blurs over 3 x 3."""

import base64
import hashlib
import io
import os
import re
import shutil
import time
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

import unblur
from unblur.serving.app import FILES, make_app
from unblur.serving.jobs import explaining
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome"),
]
DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
expect.set_options(timeout=60_000)  # milliseconds: the tests beside it want the processor too
LOOK = os.environ.get("UNBLUR_SCREENSHOTS")  # a folder for screenshots, to be looked at


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, serve, box_onnx):
    """`visit(settings, **context)`: the page of a server with these settings; nothing may go wrong in its console."""
    box, complaints = unblur.load(box_onnx(), runtime="onnxruntime", threads=1), []

    def open_page(settings=None, model=box, source="", **options):
        served = Served(Loaded(model, source=source))
        _, address = serve(make_app(served, settings or Settings(tile=2048)))
        context = chromium.new_context(**{"viewport": DESKTOP, **options})
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if "Policy" in message.text else None)
        own = (address, "blob:", "data:")
        page.on("request", lambda request: request.url.startswith(own) or complaints.append(request.url))
        page.goto(address)
        page.model, page.served = model, served
        return page

    yield open_page
    assert complaints == []


@pytest.fixture
def photo(tmp_path, make_photo):
    path = tmp_path / "bridge.png"
    Image.fromarray(make_photo(600, 800)).save(path)
    return path


def look(page, name, full_page=True):
    if LOOK:
        page.wait_for_timeout(500)  # until frames are drawn
        page.screenshot(path=Path(LOOK, f"{name}.png"), full_page=full_page)


def drop(page, path):
    """Drop a file onto the page as a hand would."""
    held = page.evaluate_handle(
        """([content, name]) => {
            const held = new DataTransfer();
            held.items.add(new File([Uint8Array.from(atob(content), (each) => each.charCodeAt(0))], name));
            return held;
        }""",
        [base64.b64encode(path.read_bytes()).decode(), path.name],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": held})


def edge(page):
    return int(page.get_by_role("slider", name="Edge").get_attribute("aria-valuenow"))


def shown_at(page, share):
    """Return the colour in the middle row of the stage at a share of its width, as the screen shows it."""
    shot = Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB")
    return np.asarray(shot)[shot.height // 2 + 40, round(share * (shot.width - 1))]


def download_is_what_the_model_makes_of(page, photo, folder):
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "bridge-restored.png"
    download.value.save_as(folder / "restored.png")
    restored = np.asarray(Image.open(folder / "restored.png"))
    np.testing.assert_array_equal(restored, page.model(np.asarray(Image.open(photo))))


def test_a_dropped_photograph_is_restored_and_downloaded(visit, photo, tmp_path):
    page = visit()
    expect(page.locator("#model")).to_contain_text(page.model.sha256[:12])
    look(page, "empty")
    drop(page, photo)
    expect(page.locator("#stage")).to_be_visible()
    expect(page.locator("#by")).to_contain_text(f"{page.model.name} · SHA-256 {page.model.sha256[:12]}")
    download_is_what_the_model_makes_of(page, photo, tmp_path)
    look(page, "desktop")


def test_the_edge_moves_by_mouse_touch_and_keys(visit, tmp_path, make_photo):
    photo = tmp_path / "half.png"
    pixels = np.full((600, 800, 3), 200, np.uint8)
    pixels[:, ::2] = 100  # the mean over 3 x 3 levels the stripes
    Image.fromarray(pixels).save(photo)
    page = visit(has_touch=True)
    page.set_input_files("#files", photo)
    expect(page.locator("#stage")).to_be_visible()
    slider, box = page.get_by_role("slider", name="Edge"), page.locator("#stage").bounding_box()
    assert edge(page) == 50
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, middle, steps=4)
    page.mouse.up()
    assert abs(edge(page) - 30) <= 1
    before, after = shown_at(page, 0.26), shown_at(page, 0.4)
    assert min(abs(int(before[0]) - 100), abs(int(before[0]) - 200)) < 20
    assert 120 < after[0] < 180
    slider.focus()
    for key, at in (("ArrowRight", 31), ("PageUp", 41), ("ArrowLeft", 40), ("End", 100), ("Home", 0)):
        page.keyboard.press(key)
        assert abs(edge(page) - at) <= 1, key
    assert slider.get_attribute("aria-valuetext").startswith("before on the left 0 %")
    touch = page.context.new_cdp_session(page)
    for kind, share in (("touchStart", 0.005), ("touchMove", 0.4), ("touchMove", 0.7)):
        place = [{"x": box["x"] + box["width"] * share, "y": middle}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": place})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert abs(edge(page) - 70) <= 1


def test_zoom_and_pan_at_full_resolution(visit, photo):
    page = visit()
    page.set_input_files("#files", photo)
    zoom, stage = page.locator("#zoom"), page.locator("#stage")
    expect(stage).to_be_visible()
    page.get_by_role("button", name="Full resolution").click()
    expect(zoom).to_have_text("100 %")
    left = page.locator("#after").bounding_box()["x"]
    stage.focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#after").bounding_box()["x"] == pytest.approx(left + 40, abs=1)
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 300, steps=3)
    page.mouse.up()
    assert page.locator("#after").bounding_box()["x"] == pytest.approx(left + 100, abs=1)
    page.mouse.wheel(0, -300)
    expect(zoom).to_have_text("200 %")
    for name in ("before", "after"):
        assert page.locator(f"#{name}").bounding_box()["width"] == pytest.approx(1600, abs=1)
    page.get_by_role("button", name="Fit").click()
    expect(zoom).not_to_have_text("200 %")


def test_errors_are_told_as_the_server_says_them(visit, photo, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear")
    page = visit()
    page.set_input_files("#files", [tmp_path / "letter.txt", photo])
    expect(page.get_by_role("alert")).to_contain_text(re.compile("^neither a photograph"))
    expect(page.locator("#stage")).to_be_visible()
    look(page, "error")
    page.get_by_role("button", name="Remove letter.txt").click()
    expect(page.get_by_role("alert")).to_have_count(0)


class Same:
    """A restorer that gives back what it gets, after a while."""

    name, sha256, task = "same", "0" * 64, "image"

    def __init__(self, seconds=0.0):
        self.seconds, self.calls = seconds, 0

    def __call__(self, batch):
        self.calls += 1
        time.sleep(self.seconds)
        return batch


class Named(Same):
    """One that is called as a model of the list."""

    def __init__(self, name):
        super().__init__()
        self.name = name


def test_what_was_not_improved_is_told(visit, photo):
    page = visit(model=unblur.library.Model(Same()), color_scheme="dark")
    page.get_by_label("leave what is sharp already").check()
    page.set_input_files("#files", photo)
    expect(page.locator("#notes")).to_have_text("nothing to gain: stays as it is")
    expect(page.locator("#by")).to_contain_text("sharp parts left alone")
    look(page, "dark")


def test_the_page_asks_for_the_key(visit, photo):
    page = visit(Settings(keys=(hashlib.sha256(b"open").hexdigest(),)))
    page.set_input_files("#files", photo)
    for key in ("shut", "open"):
        page.get_by_label("API key").fill(key)
        look(page, "key")
        page.get_by_role("button", name="Go on").click()
        if key == "shut":
            expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    expect(page.locator("#stage")).to_be_visible()


def test_a_phone_in_the_dark(visit, photo):
    page = visit(viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2, color_scheme="dark")
    page.set_input_files("#files", photo)
    expect(page.locator("#stage")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 21, 19)"
    look(page, "phone")


def test_whatever_can_be_used_has_a_name(visit, photo):
    page = visit()
    page.set_input_files("#files", photo)
    expect(page.locator("#stage")).to_be_visible()
    page.evaluate("document.getElementById('door').hidden = false")
    unnamed = [
        line
        for line in page.locator("body").aria_snapshot().splitlines()
        if line.strip() in {f"- {role}" for role in ("button", "textbox", "slider", "checkbox", "link", "img", "list")}
    ]
    assert unnamed == []


def test_a_clip_is_restored_and_played(visit, tmp_path, make_photo, make_video):
    photo = make_photo(240, 320)
    frames = [np.roll(photo, 8 * number, axis=1) for number in range(20)]
    clip = make_video(tmp_path / "tram.mp4", frames, "libx264", "yuv420p")
    page = visit(model=unblur.library.Model(Same(0.05)))
    page.get_by_label("leave what is sharp already").check()
    page.set_input_files("#files", clip)
    expect(page.locator(".state")).to_contain_text("%")
    expect(page.locator("#clip")).to_be_visible()
    expect(page.get_by_role("button", name="Explain")).to_be_hidden()
    page.wait_for_function("() => document.getElementById('clip').readyState >= 2")
    assert page.evaluate("document.getElementById('clip').videoWidth") == 320
    look(page, "clip")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "tram-restored.mp4"
    download.value.save_as(tmp_path / "restored.mp4")
    with av.open(str(tmp_path / "restored.mp4")) as restored:
        assert len(list(restored.decode(video=0))) == 20


def test_a_clip_is_shown_before_and_after_in_step(visit, tmp_path, make_video):
    stripes = np.full((400, 640, 3), 200, np.uint8)
    stripes[:, ::2] = 100  # the mean over 3 x 3 levels them
    clip = make_video(tmp_path / "stripes.mp4", [stripes] * 50, "libx264", "yuv420p", crf="4")
    page = visit(color_scheme="dark")
    page.set_input_files("#files", clip)
    expect(page.locator("#clip")).to_be_visible()
    page.wait_for_function("() => document.getElementById('clip').readyState >= 2")
    page.wait_for_function("() => document.getElementById('clip-before').readyState >= 2")
    look(page, "clip-before-after")
    page.get_by_role("button", name="Full resolution").click()
    middle = [shown_at(page, share)[0] for share in (0.3, 0.31, 0.7, 0.71)]
    assert max(abs(int(value) - 150) for value in middle[:2]) > 25
    assert max(abs(int(value) - 150) for value in middle[2:]) < 20
    slider = page.get_by_role("slider", name="Edge")
    slider.focus()
    page.keyboard.press("PageUp")
    assert edge(page) == 60
    times = "() => ['clip-before', 'clip'].map((id) => document.getElementById(id).currentTime)"
    page.locator("#stage").focus()
    page.keyboard.press(".")
    page.wait_for_function(f"() => ({times})().every((at) => Math.abs(at - 1 / 30) < 0.02)")
    page.keyboard.press(" ")
    page.wait_for_function(f"() => ({times})()[0] > 0.3")
    before, after = page.evaluate(times)
    assert abs(before - after) < 0.1
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.get_by_role("slider", name="Place in the clip").fill("0.5")
    page.wait_for_function(f"() => ({times})().every((at) => Math.abs(at - 0.83) < 0.05)")
    page.get_by_role("button", name="Sound").click()
    assert page.evaluate("['clip-before', 'clip'].map((id) => document.getElementById(id).muted)") == [True, False]


def test_a_clip_whose_before_cannot_be_shown_still_plays(visit, tmp_path, make_photo, make_video):
    clip = make_video(tmp_path / "old.avi", [make_photo(120, 160)] * 5, "mpeg4", "yuv420p")
    page = visit()
    page.set_input_files("#files", clip)
    expect(page.locator("#clip")).to_be_visible()
    expect(page.locator("#notes")).to_contain_text("this browser cannot show how it was before")
    assert edge(page) == 0


def test_the_models_card_opens(visit):
    page = visit(model=unblur.library.Model(Named("box")))
    page.locator("#model").click()
    card = page.get_by_role("dialog", name="box")
    expect(card).to_contain_text("Apache-2.0")
    expect(card).to_contain_text("6,141,295")
    expect(card.get_by_role("listitem").first).to_contain_text("Licence:")
    look(page, "card")
    card.get_by_role("button", name="Close").click()
    expect(card).to_be_hidden()


def test_a_click_explains_a_region(visit, box_onnx, photo, monkeypatch):
    monkeypatch.setattr(explaining, "lower_priority", lambda _: None)  # tests beside it would keep it waiting
    path = box_onnx()
    page = visit(model=unblur.load(path, runtime="onnxruntime", threads=1), source=str(path))
    page.set_input_files("#files", photo)
    expect(page.locator("#stage")).to_be_visible()
    page.get_by_role("button", name="Explain").click()
    box = page.locator("#after").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    expect(page.locator("#mark")).to_be_visible()
    look(page, "explaining")
    state = page.locator("#why-state")
    expect(state).to_contain_text("column 200, row 150")
    expect(state).to_contain_text("why the model restored it so", timeout=300_000)
    explained = page.frame_locator("#why-page")
    expect(explained.locator("ol.plain li")).to_have_count(3)
    expect(explained.locator("body")).to_contain_text("upper left corner at 184, 134")
    expect(explained.locator("ol.plain")).to_have_css("border-left-style", "solid")  # its own style is let in
    expect(explained.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    page.emulate_media(color_scheme="dark")
    expect(explained.locator("body")).to_have_css("background-color", "rgb(22, 21, 19)")
    page.locator("#why-page").scroll_into_view_if_needed()
    look(page, "explained", full_page=False)  # a frame out of sight is not drawn
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the explanation").click()
    assert download.value.suggested_filename == "bridge-explained.html"
    page.locator("#stage").focus()
    page.keyboard.press("Enter")  # the middle
    expect(state).to_contain_text("column 400, row 300")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(state).to_have_text("cancelled")


def test_a_click_on_a_clip_stops_it_and_asks_for_the_frame_that_is_shown(visit, box_onnx, tmp_path, make_video):
    frames = [np.full((240, 320, 3), 8 * number, np.uint8) for number in range(30)]
    clip, path = make_video(tmp_path / "a.mp4", frames, "libx264", "yuv420p"), box_onnx()
    page = visit(model=unblur.load(path, runtime="onnxruntime", threads=1), source=str(path))
    page.set_input_files("#files", clip)
    page.get_by_role("button", name="Explain").click()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => document.getElementById('clip').currentTime > 0.2")
    box = page.locator("#clip").bounding_box()
    with page.expect_request("**/v1/explain?*") as asked:
        page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    at = page.evaluate("document.getElementById('clip').currentTime")
    assert asked.value.url.endswith(f"/v1/explain?at=80,120&size=32&time={at:.4f}")
    expect(page.locator("#why-state")).to_contain_text(f"column 80, row 120 at {at:.2f} s")
    page.get_by_role("button", name="Cancel", exact=True).click()


def test_what_has_to_be_installed_for_explanations_is_told(visit, box_onnx, photo, monkeypatch):
    monkeypatch.setattr(explaining, "is_installed", lambda name: name != "torch")
    path = box_onnx()
    page = visit(model=unblur.load(path, runtime="onnxruntime", threads=1), source=str(path))
    page.set_input_files("#files", photo)
    hint = page.locator("#explain-how")
    expect(page.get_by_role("button", name="Explain")).to_be_visible()
    expect(hint).to_be_hidden()
    page.get_by_role("button", name="Explain").click()
    expect(hint).to_have_text("this server explains nothing: it needs more packages, pip install 'unblur[train]'")
    look(page, "explain-not")
    page.locator("#stage").click(position={"x": 100, "y": 100})
    expect(page.locator("#why")).to_be_hidden()


def test_the_head_tells_of_a_model_that_was_exchanged(visit, photo):
    page = visit(model=unblur.library.Model(Named("one")))
    expect(page.locator("#model")).to_contain_text("one · SHA-256 000000000000")
    other = Named("other")
    other.sha256 = "1" * 64
    page.served.now = Loaded(unblur.library.Model(other))
    page.set_input_files("#files", photo)
    expect(page.locator("#by")).to_contain_text("other · SHA-256 111111111111")
    expect(page.locator("#model")).to_contain_text("other · SHA-256 111111111111")


def test_a_photograph_that_is_restored_again_stays_as_it_is_seen(visit, photo):
    page = visit(Settings(tile=64, overlap=0), model=unblur.library.Model(Same(0.01)))
    page.set_input_files("#files", photo)
    expect(page.locator("#by")).to_contain_text("strength 100 %")
    expect(page.locator("#stage")).to_have_css("touch-action", "pan-y")
    page.get_by_role("button", name="Full resolution").click()
    expect(page.locator("#stage")).to_have_css("touch-action", "none")
    page.get_by_role("slider", name="Edge").press("PageUp")
    for strength in ("50", "30"):  # the second while the first is under way: it takes its place
        page.get_by_label("Strength", exact=True).fill(strength)
        page.get_by_role("button", name="Restore again").click()
        page.wait_for_function("() => document.querySelector('progress').value > 0")
    expect(page.locator("#by")).to_contain_text("strength 30 %")
    assert (page.locator("#zoom").inner_text(), edge(page)) == ("100 %", 60)
    page.get_by_role("button", name="Remove bridge.png").click()
    assert page.locator("#files").evaluate("each => each === document.activeElement")
    assert (
        page.evaluate("['before', 'after'].map((id) => document.getElementById(id).hasAttribute('src'))") == [False] * 2
    )


def test_a_lost_connection_is_sought_again(visit, photo):
    page, lost = visit(), []

    def lose(route):
        if lost:
            route.continue_()
        else:
            lost.append(route.request.url)
            route.abort("connectionreset")

    page.route("**/events", lose)
    page.set_input_files("#files", photo)
    expect(page.locator(".state")).to_have_text("restored")
    assert lost


def test_a_server_without_jobs_restores_photographs_and_says_that_it_takes_no_clips(visit, photo, tmp_path, make_video):
    clip = make_video(tmp_path / "a.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3, "libx264", "yuv420p")
    page = visit(Settings(tile=2048, jobs=0))
    page.set_input_files("#files", [clip, photo])
    expect(page.get_by_role("alert")).to_contain_text("this server takes no jobs")
    expect(page.locator("#by")).to_contain_text(f"{page.model.name} · SHA-256 {page.model.sha256[:12]}")
    expect(page.get_by_role("button", name="Explain")).to_be_hidden()
    download_is_what_the_model_makes_of(page, photo, tmp_path)


def test_what_the_browser_cannot_show_is_downloaded(visit, tmp_path, make_photo):
    Image.fromarray(make_photo(60, 80)).save(tmp_path / "bridge.tiff")
    page = visit()
    page.set_input_files("#files", tmp_path / "bridge.tiff")
    expect(page.locator("#notes")).to_have_text("this browser cannot show the format; download it")
    expect(page.locator("#stage")).to_be_hidden()
    expect(page.get_by_role("link", name="Download")).to_be_visible()


def test_progress_is_shown_by_tiles_and_what_takes_long_is_cancelled(visit, photo, tmp_path):
    model = unblur.library.Model(Same(0.1))
    page = visit(Settings(tile=64, overlap=0), model=model)  # 10 x 13 tiles
    page.set_input_files("#files", photo)
    progress = page.get_by_role("progressbar", name="Progress of bridge.png")
    page.wait_for_function("() => document.querySelector('progress').value > 0.05")
    assert 0 < float(progress.evaluate("each => each.value")) < 1
    look(page, "progress")
    page.get_by_role("button", name="Cancel bridge.png").click()
    expect(page.locator(".state")).to_have_text("cancelled")
    expect(progress).to_be_hidden()
    time.sleep(0.5)
    calls = model.restorer.calls
    time.sleep(0.5)
    assert model.restorer.calls == calls < 130
    page.get_by_role("button", name="Remove bridge.png").click()
    expect(page.get_by_role("listitem")).to_have_count(0)


def test_what_is_under_way_ends_with_the_page(visit, photo):
    model = unblur.library.Model(Same(0.1))
    page = visit(Settings(tile=64, overlap=0), model=model)
    page.set_input_files("#files", photo)
    page.wait_for_function("() => document.querySelector('progress').value > 0.05")
    page.goto("about:blank")
    time.sleep(1)
    calls = model.restorer.calls
    time.sleep(0.5)
    assert model.restorer.calls == calls < 130


def test_a_dropped_folder_is_gone_through(visit, tmp_path, make_photo):
    folder = tmp_path / "holiday"
    for name in ("a.png", "sea/b.png", "sea/.hidden.png", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_photo(30, 40)).save(folder / name, "PNG")
    page = visit()
    hand, box = page.context.new_cdp_session(page), page.locator("#drop").bounding_box()
    place = {"x": box["x"] + 50, "y": box["y"] + 20}
    held = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        hand.send("Input.dispatchDragEvent", {"type": kind, "data": held, **place})
    expect(page.get_by_role("listitem").filter(has_text="restored")).to_have_count(2)
    names = [each.strip() for each in page.locator("#list .pick").all_inner_texts()]
    assert sorted(names) == ["holiday/a.png", "holiday/sea/b.png"]
    expect(page.locator("#left")).to_have_text("left out of other kinds: 2")
    look(page, "folder")


def test_the_page_asks_nobody_else():
    for file in FILES.iterdir():
        assert "//" not in file.read_text(encoding="utf-8").replace("// ", ""), file.name
