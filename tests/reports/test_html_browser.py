"""The page in a real browser, as a reader has it."""

import shutil
from importlib.resources import files

import pytest
from nasty import NASTY, saying
from playwright.sync_api import sync_playwright

from coherence.reports.html import write_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)


@pytest.fixture
def opened(browser, tmp_path):
    """Open a run's report; whatever the page complains of or asks for fails the test."""

    def opened(results, **context):
        path = tmp_path / "report.html"
        write_html(results, path)
        page = browser.new_context(**context).new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        complaints.remove(path.as_uri())
        return page

    complaints = []
    yield opened
    assert complaints == []


AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def serious(page):
    """What axe-core finds of serious or critical on a page, by rule and place."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then((found) => found.violations)")
    return [
        (one["id"], node["target"], node.get("failureSummary"))
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


def rows(page):
    """Names of the assertions that the first table shows."""
    return page.locator("#verdicts tbody tr:visible th").all_inner_texts()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_is_as_wide_as_the_screen(opened, results, width):
    page = opened(saying(results, NASTY + "unbroken" * 400), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_no_script_of_somebody_else_runs(opened, results):
    page = opened(saying(results, NASTY))
    assert page.evaluate("window.pwned") is None
    assert "window.pwned = 1" in page.locator("blockquote").first.text_content()


def test_dark_and_light_are_what_the_reader_chose(opened, results):
    def brightness(scheme, media="screen"):
        page = opened(results, color_scheme=scheme)
        page.emulate_media(media=media)
        color = "getComputedStyle(document.body).{}.match(/\\d+/g).slice(0, 3).map(Number)"
        return [sum(page.evaluate(color.format(part))) for part in ("backgroundColor", "color")]

    light, dark = brightness("light"), brightness("dark")
    assert light[0] > 600 > 200 > light[1]
    assert dark[0] < 200 < 600 < dark[1]
    # Paper is white, whatever the screen is.
    assert brightness("dark", "print") == light


def test_all_can_be_reached_and_sorted_with_the_keyboard(opened, results):
    page = opened(results)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    before = rows(page)
    page.locator("#verdicts th button", has_text="Assertion").focus()
    page.keyboard.press("Enter")
    assert rows(page) == sorted(before) != before
    page.keyboard.press("Enter")
    assert rows(page) == sorted(before, reverse=True)
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"


def test_numbers_are_sorted_as_numbers(opened, results):
    page = opened(results)
    page.locator("#verdicts th button", has_text="Estimate").click()
    cells = page.locator("#verdicts tbody td[data-label=Estimate]").all_inner_texts()
    found = [float(cell.split()[0]) for cell in cells]
    assert found == sorted(found)


def test_a_search_leaves_what_matches(opened, results):
    page = opened(results)
    page.get_by_label("Search").fill("PIRATE.COLL")
    assert len(rows(page)) == 3
    page.get_by_label("Search").fill("")
    assert len(rows(page)) == 6


def test_without_scripts_it_is_whole_and_can_be_filtered(opened, results):
    page = opened(results, java_script_enabled=False)
    assert len(rows(page)) == 6
    assert page.locator("button:visible").count() == 0
    assert not page.get_by_label("Search").is_visible()
    page.get_by_label("what is not as expected").check()
    missed = [result.id for result in results.assertions if not result.green]
    assert sorted(rows(page)) == sorted(missed)


def test_a_link_opens_what_it_leads_to(opened, results):
    page = opened(results)
    closed = page.locator("article", has=page.locator("details:not([open])")).first
    name = closed.locator("h3").inner_text()
    assert not closed.locator(".sentence").is_visible()
    page.locator("#verdicts").get_by_role("link", name=name).click()
    assert page.locator("article:target .sentence").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(opened, results, controlled, scheme, width):
    everything = results.model_copy(update={"assertions": results.assertions + controlled.assertions})
    page = opened(everything, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert serious(page) == []
    page.get_by_role("button", name="Expand all").click()
    assert serious(page) == []


def test_axe_would_find_a_picture_without_words(opened, results):
    page = opened(results)
    page.evaluate("document.querySelector('svg').removeAttribute('aria-label')")
    assert [rule for rule, *_ in serious(page)] == ["svg-img-alt"]


def test_a_plane_of_a_space_is_chosen_and_takes_the_place_of_the_one_before(opened, in_a_space):
    page = opened(in_a_space)
    planes = page.locator(".plane")
    assert planes.evaluate_all("(all) => all.map((one) => one.open)") == [True, False, False]
    planes.nth(2).locator("summary").click()
    assert planes.evaluate_all("(all) => all.map((one) => one.open)") == [False, False, True]
    page.get_by_role("button", name="Expand all").click()
    assert planes.evaluate_all("(all) => all.map((one) => one.open)") == [False, False, True]
    assert serious(page) == []


def test_all_is_unfolded_and_folded_again(opened, results):
    page = opened(results)
    before = page.locator("main details[open]").count()
    button = page.get_by_role("button", name="Expand all")
    button.click()
    assert page.locator("main details:not([open])").count() == 0
    button = page.get_by_role("button", name="Fold what is as expected")
    button.click()
    assert page.locator("main details[open]").count() == before < page.locator("main details").count()


def test_a_command_is_copied_by_a_button(opened, results):
    page = opened(results, permissions=["clipboard-read", "clipboard-write"])
    page.locator("#provenance").get_by_role("button", name="Copy").click()
    page.locator("#provenance").get_by_role("button", name="Copied").wait_for()
    command = page.locator("#provenance pre code").text_content()
    assert page.evaluate("navigator.clipboard.readText()") == command


def test_a_command_is_selected_where_the_clipboard_cannot_be_reached(opened, results):
    page = opened(results)
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.locator("#provenance").get_by_role("button", name="Copy").click()
    page.locator("#provenance").get_by_role("button", name="Selected").wait_for()
    assert page.evaluate("getSelection().toString()") == page.locator("#provenance pre code").inner_text()


def test_in_print_everything_is_there(opened, results):
    page = opened(results)
    page.emulate_media(media="print")
    assert all(said.is_visible() for said in page.locator(".sentence").all())
    assert not any(tool.is_visible() for tool in page.locator(".filter, .copy").all())
    assert page.pdf().startswith(b"%PDF")


def test_in_print_no_table_of_criteria_is_split(opened, controlled):
    page = opened(controlled)
    page.emulate_media(media="print")
    tables = page.locator("article table.whole")
    assert tables.locator("caption").all_inner_texts() == ["Criteria", "Controls, none of which may pass"]
    breaks = tables.evaluate_all("(tables) => tables.map((one) => getComputedStyle(one).breakInside)")
    assert breaks == ["avoid", "avoid"]
