from reward_server.scorer import answer_within_s


def test_the_margin_before_the_deadline_is_a_share_but_never_too_small() -> None:
    assert answer_within_s(10.0, 0) == 9.5
    assert answer_within_s(0.1, 0) == 0.08
    assert answer_within_s(0.01, 0) == 0.0
    assert answer_within_s(10.0, 10_000) < answer_within_s(10.0, 0)
