"""The fit finds the costs that measurements were made from."""

import pytest

from benchmarks.routing.fit import FitError, fit

HEADER = "model,hardware,prompt_size,batch_size,token_size,prompt_time,token_time,tensor_parallel\n"
PAIR_MS = 3.31e-7
CONTEXT_MS = 2.038e-5


def write(folder, rows):
    path = folder / "splitwise_sim" / "perf_model.csv"
    path.parent.mkdir()
    path.write_text(HEADER + "".join(rows))


def row(prompt, batch, answer):
    prompt_ms = 20 + 0.07 * batch * prompt + PAIR_MS * batch * prompt**2
    token_ms = 30 + 0.2 * batch + CONTEXT_MS * batch * (prompt + answer / 2)
    return f"llama2-70b,h100-80gb,{prompt},{batch},{answer},{prompt_ms},{token_ms},8\n"


def test_costs_are_found_again(tmp_path):
    """Without noise the errors are nil."""
    shapes = [(128, 1, 128), (512, 1, 128), (512, 64, 128), (8192, 1, 128), (512, 1, 8192)]
    write(tmp_path, [row(*shape) for shape in shapes])
    found = fit(tmp_path, "h100-80gb")
    assert found.prefill_base == pytest.approx(20, rel=0.01)
    assert found.prefill_token == pytest.approx(0.07, rel=0.01)
    assert found.decode_base == pytest.approx(30, rel=0.01)
    assert found.decode_seq == pytest.approx(0.2, rel=0.01)
    assert found.decode_context == pytest.approx(CONTEXT_MS, rel=0.01)
    assert found.prefill_error < 1e-3


def test_other_hardware_is_not_taken_for_it(tmp_path):
    """Without a row of it there is nothing to fit."""
    write(tmp_path, [row(128, 1, 128)])
    with pytest.raises(FitError, match="no measurement"):
        fit(tmp_path, "a100-80gb")
