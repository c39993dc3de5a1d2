import pytest

from reward_server.verifiers.base import Cause, Item, Outcome, Question, Verdict
from reward_server.verifiers.math import MathVerifier
from reward_server.verifiers.mathematics.decide import decide

VERIFIER = MathVerifier({"strip_thinking": True})


def graded(response: str, *references: str, verifier: MathVerifier = VERIFIER) -> Verdict:
    """The verdict as the server reaches it: the quick step, then the worker's."""
    item = Item(id="1", response=response, references=references)
    found = verifier.quick(item)
    return verifier.judge(found) if isinstance(found, Question) else found


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("42", r"So it is \boxed{42}."),
        ("42", r"\boxed{\color{red}42}"),
        ("42", r"\boxed{\textcolor{blue}{42}}"),
        ("x+1", r"\boxed{\underline{1+x}}"),
        ("3:30 PM", r"\boxed{\text{3:30 PM}}"),
        ("18", "Answer: 18"),
        ("18", "#### 18"),
        ("1234", r"\boxed{1,234}"),
        ("36", r"\boxed{\$36}"),
        ("0.5", r"\boxed{\frac{1}{2}}"),
        ("1/2", r"\boxed{0.5}"),
        (r"\frac{3}{4}", r"\boxed{\dfrac{3}{4}}"),
        (r"3\sqrt{13}", r"\boxed{\sqrt{117}}"),
        ("x+1", r"\boxed{1+x}"),
        ("(x+1)^2", r"\boxed{x^2+2x+1}"),
        ("2^{10}", r"\boxed{1024}"),
        ("5", r"\boxed{x=5}"),
        ("5", r"\boxed{2+3=5}"),
        ("5", r"\boxed{x = 2 + 3 = 5}"),
        (r"\{1,2\}", r"\boxed{\{2,1\}}"),
        ("1,2", r"$\boxed{1}$ and $\boxed{2}$"),
        ("(1,2)", r"\boxed{(1, 2)}"),
        (r"\text{(B)}", r"\boxed{B}"),
        ("B", r"\boxed{\text{B}}"),
        (r"\text{east}", r"\boxed{\text{east}}"),
        ("x > 5", r"\boxed{x > 5}"),
        (r"\geq 5", r"\boxed{\geq 5}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\boxed{\begin{pmatrix} 1 \\ 4/2 \end{pmatrix}}"),
        (r"\boxed{7}", "The answer is 7."),
        ("$\\frac{10}{4}$", r"\boxed{2.5}"),
        ("42", r"\boxed{41}, wait, no: \boxed{42}"),
        ("42", "<think>is it 41?</think> \\boxed{42}"),
        ("1000.99", r"\boxed{1000,99}"),
        ("7" * 500, rf"\boxed{{{'7' * 500}}}"),
    ],
)  # fmt: skip
def test_a_right_answer_is_correct(gold: str, response: str) -> None:
    verdict = graded(response, gold)
    assert (verdict.outcome, verdict.reward) == (Outcome.CORRECT, 1.0)
    assert verdict.extracted_answer


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("42", r"\boxed{41}"),
        ("5", r"\boxed{-5}"),
        ("-5", r"\boxed{5}"),
        ("1", r"\boxed{1.0000001}"),
        ("0.00000016", r"\boxed{0.00000031}"),
        (r"\frac{1}{2}", r"\boxed{\frac{2}{1}}"),
        (r"3\sqrt{13}", r"\boxed{3}"),
        ("x+1", r"\boxed{x+2}"),
        ("5", r"\boxed{> 5}"),
        ("5", r"\boxed{\neq 5}"),
        ("5", r"\boxed{\geq 5}"),
        ("5", r"\boxed{\approx 5}"),
        ("5", r"\boxed{5 \text{ or more}}"),
        ("5", r"\boxed{\text{at least } 5}"),
        ("5", r"\boxed{\text{not } 5}"),
        ("42", r"\boxed{1=2=3=42}"),
        ("42", r"\boxed{41=42}"),
        ("42", r"\boxed{41} or \boxed{42}"),
        ("42", r"\boxed{41} and \boxed{42}"),
        ("42", r"$\boxed{41}$, $\boxed{42}$"),
        ("42", "The answer is 41 or 42."),
        ("42", "The answer is not 42."),
        ("42", r"\boxed{41, 42}"),
        ("42", r"\boxed{42} and \boxed{43}"),
        ("42", r"\boxed{x}"),
        ("3/2", r"\boxed{1 2}"),
        ("11/2", r"\boxed{1 1/2}"),
        ("A", r"\boxed{B}"),
        ("42", r"\boxed{__import__('os').system('true')}"),
        ("42", "42 + 0*__import__('os').getpid() is not it, Answer: 0"),
        ("32349", r"\boxed{32, 349}"),
    ],
)
def test_a_wrong_answer_is_incorrect(gold: str, response: str) -> None:
    verdict = graded(response, gold)
    assert (verdict.outcome, verdict.reward) == (Outcome.INCORRECT, 0.0)


@pytest.mark.parametrize(
    "response", ["", "I cannot tell", r"\boxed{}", "<think>it is \\boxed{42}", "<think>42</think>"]
)
def test_a_response_without_an_answer_is_no_answer(response: str) -> None:
    verdict = graded(response, "42")
    assert (verdict.outcome, verdict.reward) == (Outcome.NO_ANSWER, 0.0)
    assert verdict.detail


@pytest.mark.parametrize(
    "references",
    [
        (), ("",), ("  ",), ("$$",), (r"\boxed{}",), (r"\frac{1}{",), ("}{",), (r"\frac{1}",),
        ("x^",), ("3 +",), (r"\sqrt",), (r"\begin{pmatrix}1",), (r"\boxed",), ("2 \\",),
    ],
)  # fmt: skip
def test_a_reference_that_holds_nothing_is_the_machinerys_fault(
    references: tuple[str, ...],
) -> None:
    for response in (r"\boxed{42}", "", "no answer", "<think>"):
        verdict = graded(response, *references)
        assert (verdict.outcome, verdict.reward) == (Outcome.INVALID_REFERENCE, None)
        assert verdict.cause is Cause.MACHINERY
        assert verdict.detail


@pytest.mark.parametrize(
    "reference",
    ["42", r"\frac{1}{2}", "(1,2]", r"\text{no solution}", r"x^2\equiv 1 \pmod{7}", "Paris"],
)
def test_a_sound_reference_passes_its_check(reference: str) -> None:
    assert checked(reference).outcome is Outcome.NO_ANSWER


@pytest.mark.parametrize(
    "references", [("",), (r"\frac{1}{",), ("42", "x^"), ("42", r"\foo\bar"), ()]
)
def test_one_bad_reference_fails_the_check(references: tuple[str, ...]) -> None:
    verdict = checked(*references)
    assert (verdict.outcome, verdict.cause) == (Outcome.INVALID_REFERENCE, Cause.MACHINERY)
    assert verdict.detail


def checked(*references: str) -> Verdict:
    """The verdict on references alone, whatever the response."""
    metadata = {"check_references": True}
    item = Item(id="1", response=r"\boxed{42}", references=references, metadata=metadata)
    found = VERIFIER.quick(item)
    return VERIFIER.judge(found) if isinstance(found, Question) else found


def test_any_of_several_references_suffices() -> None:
    assert graded(r"\boxed{2}", "1", "2").outcome is Outcome.CORRECT
    assert graded(r"\boxed{x+1}", "", "1+x").outcome is Outcome.CORRECT
    assert graded(r"\boxed{3}", "1", "2").outcome is Outcome.INCORRECT


def test_thinking_counts_where_the_options_say_so() -> None:
    lenient = MathVerifier({"strip_thinking": False})
    assert graded("<think>\\boxed{42}", "42", verifier=lenient).outcome is Outcome.CORRECT
    assert lenient.version != VERIFIER.version


def test_plain_numbers_take_no_algebra() -> None:
    item = Item(id="1", response=r"\boxed{42}", references=("42",))
    verdict = VERIFIER.quick(item)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome is Outcome.CORRECT


def test_what_writing_alone_cannot_tell_is_left_to_algebra() -> None:
    assert decide("x-1", r"\frac{x^2-1}{x+1}") is None
    assert decide("1/3", "0.333") is None
    assert decide("1e999999999", "7") is None


def test_the_version_names_type_revision_and_options() -> None:
    kind, _, digest = VERIFIER.version.partition("+")
    assert kind == "math-3"
    assert len(digest) == 8
    assert MathVerifier({"strip_thinking": True}).version == VERIFIER.version


def test_what_differs_within_a_tolerance_is_left_to_the_worker() -> None:
    tolerant = MathVerifier({"relative_tolerance": 0.01})
    exact = MathVerifier({"percent": "unit"})
    for answer in ("101", r"100\sqrt{1.01}", "100.5"):
        item = Item(id="1", response=rf"\boxed{{{answer}}}", references=("100",))
        assert isinstance(tolerant.quick(item), Question)
    for answer in ("101", r"101\sqrt{3}"):
        item = Item(id="1", response=rf"\boxed{{{answer}}}", references=("100",))
        assert isinstance(exact.quick(item), Verdict)
    assert graded(r"\boxed{101}", "100", verifier=tolerant).outcome is Outcome.CORRECT
    assert graded(r"\boxed{102}", "100", verifier=tolerant).outcome is Outcome.INCORRECT


@pytest.mark.parametrize(
    "references",
    [tuple(map(str, range(11))), (r"\text{" + "word " * 1000 + "}", "7")],
    ids=["many", "long"],
)
def test_many_or_long_references_are_left_to_a_worker(references: tuple[str, ...]) -> None:
    item = Item(id="1", response=r"\boxed{7}", references=references)
    found = VERIFIER.quick(item)
    assert isinstance(found, Question)
    assert VERIFIER.judge(found).outcome is Outcome.CORRECT
    assert checked(*references).outcome is Outcome.NO_ANSWER
    assert checked(*references, r"\frac{1}{").outcome is Outcome.INVALID_REFERENCE


def test_one_of_many_references_is_met() -> None:
    assert graded(r"\boxed{7}", *map(str, range(200))).outcome is Outcome.CORRECT
