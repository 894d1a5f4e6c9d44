"""The trace of a completion: its numbers against numbers worked out apart, its reasons, its page in a browser."""

from __future__ import annotations

import math
import re
import shutil

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import rellm  # noqa: E402
from rellm._trace.page import _chance  # noqa: E402
from rellm._trace.trace import Trace, TracedToken, trace_completion  # noqa: E402

EOS = 256
PAIRS = [b"12", b".5", "é".encode(), b"ab", b"1.", b"\n\n"]
TOKENS = [*(bytes([byte]) for byte in range(256)), None, *PAIRS]
SIZE = len(TOKENS)


@pytest.fixture(scope="module")
def vocabulary():
    return rellm.Vocabulary(TOKENS, eos_token_ids=[EOS])


def tiny_model(seed=0, width=SIZE + 9):
    """A random GPT-2 whose logits are wider than the vocabulary, as padded models' are."""
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=width, n_positions=128, n_embd=32, n_layer=2, n_head=2, eos_token_id=EOS, bos_token_id=EOS,
        initializer_range=0.5,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).eval()


def written(model, prompt, compiled, count, seed):
    """Tokens sampled step by step under the mask, and by step: the model's log-probabilities and what was allowed."""
    generator = torch.Generator().manual_seed(seed)
    matcher = compiled.matcher()
    ids, steps = [], []
    size = len(compiled.vocabulary)
    while len(ids) < count and EOS not in ids and not matcher.is_finished:
        with torch.no_grad():
            scores = model(torch.tensor([prompt + ids])).logits[0, -1].double().log_softmax(-1)
        allowed = [token for token in range(size) if matcher.allows(token)]
        weights = torch.zeros(len(scores), dtype=torch.float64)
        weights[allowed] = scores[allowed].exp()
        token = int(torch.multinomial(weights, 1, generator=generator))
        steps.append((scores, allowed))
        matcher.advance(token)
        ids.append(token)
    return ids, steps


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_a_typed_error(vocabulary, wrong):
    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight[5] = wrong
    compiled = rellm.compile(rellm.Regex("[a-z]{3}"), vocabulary)
    with pytest.raises(rellm.RellmError, match="the model's logits at token 0 of the text are not numbers"):
        trace_completion(model, [1, 2, 3], [ord("a")], compiled)


@pytest.mark.parametrize("pattern", [r"\d+(\.\d{1,2})?", r"[^\n]{1,30}", r"(ab|é)+\n*", r'"action": "[a-z]{3,9}"'])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_removed_mass_is_the_softmax_mass_of_the_masked_tokens(vocabulary, pattern, seed):
    model = tiny_model(seed)
    compiled = rellm.compile(rellm.Regex(pattern), vocabulary)
    ids, steps = written(model, [1, 2, 3], compiled, 24, seed)
    trace = trace_completion(model, [1, 2, 3], ids, compiled)
    assert [token.token_id for token in trace] == ids
    total = 0.0
    for token, (scores, allowed) in zip(trace, steps, strict=True):
        masked = [other for other in range(len(scores)) if other not in set(allowed)]
        mass = math.fsum(scores[masked].exp().tolist())
        total += mass
        assert token.removed_mass == pytest.approx(mass, abs=1e-5)
        assert token.log_probability_before == pytest.approx(float(scores[token.token_id]), abs=1e-5)
        kept = math.log(math.fsum(scores[allowed].exp().tolist()))
        assert token.log_probability_after == pytest.approx(float(scores[token.token_id]) - kept, abs=1e-5)
        assert token.is_overruled == (int(scores.argmax()) not in allowed)
        likeliest = sorted(masked, key=lambda other: -scores[other])[:5]
        assert [other.token_id for other in token.refused] == [o for o in likeliest if scores[o].exp() >= 1e-4]
        assert [other.probability for other in token.refused] == pytest.approx(
            [math.exp(scores[o]) for o in likeliest if scores[o].exp() >= 1e-4], abs=1e-5
        )
    assert trace.removed_mass == pytest.approx(total, abs=1e-5)
    assert trace.mean_removed_mass == pytest.approx(total / len(ids), abs=1e-5)
    assert trace.log_probability_before == pytest.approx(
        math.fsum(float(scores[i]) for i, (scores, _) in zip(ids, steps, strict=True)), abs=1e-4
    )
    # Both say the same: what the model alone gives, and how far it was bent to get there.
    bent = trace.log_probability_after - trace.log_probability_before
    assert trace.bits == pytest.approx(bent / math.log(2), abs=1e-5)


def test_an_encoder_decoder_model_can_be_traced(vocabulary):
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=len(TOKENS), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0,
        eos_token_id=EOS, pad_token_id=0,
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(config).eval()
    compiled = rellm.compile(rellm.Regex("[a-z]{3}"), vocabulary)
    trace = trace_completion(model, [5, 6], [97, 98, 99], compiled)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[5, 6]]), decoder_input_ids=torch.tensor([[0, 97, 98]])).logits[0]
    for token, scores in zip(trace, logits.double().softmax(-1), strict=True):
        assert math.exp(token.log_probability_before) == pytest.approx(float(scores[token.token_id]), abs=1e-5)


def favouring(*token_ids, width=SIZE):
    """A model that gives these tokens nearly all probability, in this order of preference, at every step."""
    model = tiny_model(width=width)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        # With weights of zero the last layer norm gives its bias, and the head multiplies it with the embeddings.
        model.transformer.ln_f.bias[0] = 1.0
        for rank, token_id in enumerate(token_ids):
            model.transformer.wte.weight[token_id, 0] = 20.0 - rank
    return model


def reasons(pattern, text, favourites, vocabulary, **more):
    compiled = rellm.compile(rellm.Regex(pattern), vocabulary)
    ids = [TOKENS.index(token) for token in text]
    trace = trace_completion(favouring(*favourites), [1], ids, compiled, **more)
    return {other.text: other.reason for other in trace.tokens[-1].refused}


def test_refused_tokens_come_with_the_reason_in_words(vocabulary):
    number = r"(?a)\d+(\.\d{1,2})?"
    point_five, x, one_point = TOKENS.index(b".5"), ord("x"), TOKENS.index(b"1.")
    assert reasons(number, [b"1", b"3"], [x, point_five], vocabulary) == {
        "x": 'expected a digit, ".", or the end of the text'
    }
    assert reasons(number, [b".5"[:0] or b"1", b".", b"5"], [one_point, x], vocabulary) == {
        "1.": "after its '1', '.' cannot follow: expected a digit, or the end of the text",
        "x": "expected a digit",
    }
    assert reasons(number, [b"1", b".", b"5"], [EOS], vocabulary) == {"": "the text is not complete: expected a digit"}


def test_a_character_that_fails_in_its_middle_is_named_whole(vocabulary):
    whole = TOKENS.index("é".encode())
    assert reasons("(a|è)+", [b"a", b"a"], [whole], vocabulary) == {"é": 'expected "a", "è", or the end of the text'}
    tokens = [*TOKENS, "aé".encode()]
    wider = rellm.Vocabulary(tokens, eos_token_ids=[EOS])
    compiled = rellm.compile(rellm.Regex("(a|è)+"), wider)
    trace = trace_completion(favouring(len(tokens) - 1, width=len(tokens)), [1], [ord("a")], compiled)
    assert [other.reason for other in trace.tokens[0].refused] == [
        "after its 'a', 'é' cannot follow: expected \"a\", \"è\", or the end of the text"
    ]


def test_what_the_budget_refused_says_so(vocabulary):
    found = reasons(r"a{2,3}|ab{8}", [b"a", b"a"], [ord("b")], vocabulary, max_new_tokens=3)
    assert found == {"b": "no match would fit into the 2 tokens that are left"}


def test_forced_tokens_and_the_end_are_marked(vocabulary):
    compiled = rellm.compile(rellm.Regex("(x|y)abab"), vocabulary)
    ids = [ord("x"), *[TOKENS.index(b"ab")] * 2, EOS]
    trace = trace_completion(tiny_model(), [1], ids, compiled)
    assert [token.is_forced for token in trace] == [False, True, True, False]
    assert [token.is_end for token in trace] == [False, False, False, True]
    assert (trace.text, trace.forced, len(trace)) == ("xabab", 2, 4)


def test_without_a_constraint_nothing_is_removed(vocabulary):
    trace = trace_completion(tiny_model(), [1], [65, 66], None, vocabulary=vocabulary)
    assert [(token.removed_mass, token.refused, token.is_overruled) for token in trace] == [(0.0, (), False)] * 2
    assert (trace.bits, trace.constraint) == (0.0, "")


def test_tokens_that_are_half_a_character_are_shown_as_bytes(vocabulary):
    compiled = rellm.compile(rellm.Regex("é"), vocabulary)
    trace = trace_completion(tiny_model(), [1], [0xC3, 0xA9], compiled)
    assert [token.text for token in trace] == [r"\xc3", r"\xa9"]


def test_the_search_engine_can_be_traced_too(vocabulary):
    compiled = rellm.compile(rellm.Regex(r"\((?:[ab]|(?R))*+\)", dialect="regex"), vocabulary)
    assert compiled.engine == "search"
    trace = trace_completion(favouring(ord("x"), ord(")")), [1], list(b"(a)"), compiled, max_new_tokens=9)
    assert trace.text == "(a)"
    assert [token.refused[0].text for token in trace] == ["x", "x", "x"]
    assert all(token.refused[0].reason.startswith("expected") for token in trace)


# What `Generator` returns.


@pytest.fixture(scope="module")
def generator():
    import real_model

    return rellm.Generator.from_pipeline(real_model.pipeline())


PERSON = r'(?a)\{"name": "[A-Z][a-z]{1,9}", "age": [1-9]\d?\}'


@pytest.mark.parametrize("options", [{}, {"forced_text": "forced"}, {"do_sample": True}, {"max_new_tokens": 14}])
def test_a_completion_carries_a_trace_on_request(generator, options):
    completion = generator("A person as JSON: ", rellm.Regex(PERSON), trace=True, **options)
    trace = completion.trace
    assert trace.text == completion.text
    assert tuple(token.token_id for token in trace if not token.is_end) == completion.token_ids
    assert trace.forced > 0
    assert trace.constraint == PERSON
    assert all(0.0 <= token.removed_mass <= 1.0 for token in trace)
    assert all(token.log_probability_before <= token.log_probability_after <= 1e-6 for token in trace)


def test_without_the_request_there_is_none_and_the_model_is_asked_no_more(generator):
    plain = generator("A person as JSON: ", rellm.Regex(PERSON))
    traced = generator("A person as JSON: ", rellm.Regex(PERSON), trace=True)
    assert plain.trace is None
    assert (plain.text, plain.forward_passes) == (traced.text, traced.forward_passes)


def test_the_rows_of_a_padded_batch_have_the_traces_that_they_have_alone(generator):
    prompts = ["A person as JSON: ", "Here is one more of these people, as JSON, on one line: "]
    for prompt, completion in zip(prompts, generator(prompts, rellm.Regex(PERSON), trace=True), strict=True):
        alone = generator(prompt, rellm.Regex(PERSON), trace=True)
        assert completion.text == alone.text == completion.trace.text
        masses = [[token.removed_mass for token in one.trace] for one in (completion, alone)]
        assert masses[0] == pytest.approx(masses[1], abs=1e-4)


@pytest.mark.parametrize(
    ("overruled", "words"),
    [
        ([], "0 tokens, 0 forced; the model's first choice was never refused; 0.0% of the probability removed"),
        ([False], "1 token, 1 forced; the model's first choice was never refused; 0.0%"),
        ([True, False], "2 tokens, 2 forced; the model's first choice was refused once; 0.0%"),
        ([True, False, True], "3 tokens, 3 forced; the model's first choice was refused 2 times; 0.0%"),
    ],
)
def test_a_trace_is_summed_up_in_a_sentence(overruled, words):
    tokens = tuple(TracedToken(97, "a", 0.0, 0.0, 0.0, 0.0, (), refused, True, False) for refused in overruled)
    assert str(Trace(tokens)).startswith(words)
    assert str(Trace(tokens)).endswith(", 0.0 bits in all")  # and not -0.0


# The page.


def a_trace(vocabulary, pattern="[<&;>'\"a-z\n ]{12}"):
    compiled = rellm.compile(rellm.Regex(pattern), vocabulary)
    ids = list(b"<b>&amp;\n\"' ")
    return trace_completion(tiny_model(3), [1], ids, compiled)


def test_the_page_needs_nothing_else_and_text_cannot_break_it(vocabulary):
    page = a_trace(vocabulary).to_html()
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?://", page)
    assert page.count("</script>") == 2
    assert "<b>" not in page.split("<main>")[1].split("<script")[0].replace('<b>"', "")
    evil = Trace(a_trace(vocabulary).tokens, constraint="</code><script>alert(1)</script><!--data-->")
    assert "<script>alert" not in evil.to_html()


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (1.0, "100 %"),
        (0.99999, "> 99.9 %"),
        (0.25, "25.0 %"),
        (0.0006, "0.1 %"),
        (9.7e-6, "1 × 10⁻⁵"),
        (4e-8, "4 × 10⁻⁸"),
    ],
)
def test_chances_are_written_for_people(probability, shown):
    assert _chance(math.log(probability)).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(vocabulary):
    frame = a_trace(vocabulary)._repr_html_()
    assert frame.startswith('<iframe srcdoc="')
    assert 'sandbox="allow-scripts"' in frame
    assert frame.count('"') == 2 * frame.count('="'), "a quote of the page would end the attribute"


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed (on Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1180,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def page(browser, vocabulary, tmp_path):
    """The page in the browser, and the trace that it shows."""
    trace = a_trace(vocabulary)
    path = tmp_path / "trace.html"
    path.write_text(trace.to_html(), encoding="utf-8")
    browser.get_log("browser")  # what an earlier page logged
    browser.get(path.as_uri())
    return browser, trace


def found(browser, selector):
    return browser.find_elements("css selector", selector)


def test_a_click_on_a_token_shows_what_was_refused_with_chances_and_reasons(page):
    browser, trace = page
    tokens = found(browser, "[role=option]")
    assert len(tokens) == len(trace)
    for i in (0, 4, len(trace) - 1):
        tokens[i].click()
        text = browser.find_element("id", "detail").text
        assert f"token {i + 1} of {len(trace)}" in text
        rows = found(browser, "#detail tbody tr")
        assert len(rows) == len(trace.tokens[i].refused) > 0
        for row, other in zip(rows, trace.tokens[i].refused, strict=True):
            cells = [cell.text for cell in row.find_elements("css selector", "td")]
            assert cells[2] == other.reason
            assert float(cells[1].rstrip(" %")) == pytest.approx(100 * other.probability, abs=0.051)
        assert tokens[i].get_attribute("aria-selected") == "true"
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def test_the_page_can_be_read_by_keyboard_alone(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser, trace = page
    browser.execute_script("document.body.focus()")

    def press(*keys):
        ActionChains(browser).send_keys(*keys).perform()
        return browser.execute_script("return document.activeElement.dataset.i")

    first = press(Keys.TAB)
    assert first is not None, "Tab goes to the text"
    assert press(Keys.HOME) == "0"
    assert press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT) == "2"
    assert "token 3 of" in browser.find_element("id", "detail").text
    assert press(Keys.ARROW_LEFT) == "1"
    assert press(Keys.END) == str(len(trace) - 1)
    assert press(Keys.ARROW_RIGHT) == str(len(trace) - 1)
    press(Keys.HOME)
    following = next(i for i, token in enumerate(trace) if i > 0 and token.is_overruled)
    assert press("n") == str(following)


def test_what_colour_says_is_said_without_it_too(page):
    browser, trace = page
    for token, element in zip(trace, found(browser, "[role=option]"), strict=True):
        label = element.get_attribute("aria-label")
        assert "removed" in label
        assert ("first choice refused" in label) == token.is_overruled
        width = float(element.value_of_css_property("border-bottom-width").rstrip("px"))
        if not token.is_forced and token.removed_mass >= 0.005:
            assert width == min(5, 1 + int(5 * token.removed_mass))
    assert "constraint" in browser.find_element("css selector", "main").text.lower()


def test_a_bar_of_the_plot_chooses_its_token_and_is_as_high_as_its_mass(page):
    from selenium.webdriver.common.action_chains import ActionChains

    browser, trace = page
    bars = found(browser, "svg .bar")
    assert len(bars) == len(trace)
    for bar, token in zip(bars, trace, strict=True):
        height = float(bar.find_element("css selector", ".mass").get_attribute("height"))
        assert height == pytest.approx(100 * token.removed_mass, abs=0.01)
    ActionChains(browser).move_to_element(bars[3].find_element("css selector", ".hit")).click().perform()
    assert f"token 4 of {len(trace)}" in browser.find_element("id", "detail").text


@pytest.mark.parametrize("size", [(1180, 1000), (480, 800)], ids=["wide", "narrow"])
def test_the_explanation_stays_in_view_however_long_the_text_is(browser, vocabulary, tmp_path, size):
    short = a_trace(vocabulary)
    path = tmp_path / "long.html"
    path.write_text(Trace(short.tokens * 60, constraint="long").to_html(), encoding="utf-8")
    browser.set_window_size(*size)
    try:
        browser.get(path.as_uri())
        tokens = found(browser, "[role=option]")
        assert len(tokens) > 600
        rectangles = (
            "return ['#detail .head', '[aria-selected=true]']"
            ".map(s => document.querySelector(s).getBoundingClientRect().toJSON())"
        )
        for i in (0, len(tokens) // 2, len(tokens) - 1):
            browser.execute_script("arguments[0].focus()", tokens[i])
            head, chosen = browser.execute_script(rectangles)
            height = browser.execute_script("return window.innerHeight")
            assert 0 <= head["top"] < head["bottom"] <= height, (i, "the explanation")
            assert 0 <= chosen["top"] < chosen["bottom"] <= height, (i, "the token")
            if size[0] < 800:
                covers = browser.execute_script(
                    "return document.querySelector('.explained').getBoundingClientRect().top"
                )
                assert chosen["bottom"] <= covers + 1, (i, "the explanation covers the token")
    finally:
        browser.set_window_size(1180, 1000)


def test_the_totals_stand_on_top(page):
    browser, trace = page
    totals = browser.find_element("css selector", "dl")
    assert str(len(trace)) in totals.text
    assert f"{trace.bits:.1f} bits" in totals.text
    assert totals.location["y"] < browser.find_element("css selector", "svg").location["y"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_readable_in_light_and_dark(page, scheme):
    browser, _ = page
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    for element in [
        browser.find_element("css selector", "body"),
        *found(browser, "[role=option]"),
        *found(browser, "small"),
    ]:
        ink = luminance(element.value_of_css_property("color"))
        behind = [e for e in (background(element), background(browser.find_element("css selector", ".text"))) if e]
        paper = luminance((behind or [background(browser.find_element("css selector", "body"))])[0])
        contrast = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
        assert contrast >= 4.5, (scheme, element.text, contrast)
    body = luminance(browser.find_element("css selector", "body").value_of_css_property("background-color"))
    assert (body > 0.5) == (scheme == "light")


def background(element):
    colour = element.value_of_css_property("background-color")
    return None if colour.endswith(", 0)") else colour


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
