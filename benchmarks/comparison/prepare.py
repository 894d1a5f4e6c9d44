"""Makes what all engines share: token files, cases with their token ids, the oracle's masks.

    python -m comparison.prepare DATA CASE...      run in the environment of the tools

Masks are kept from run to run under the hash of what they were made from.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import regex
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from comparison import cases, vocabularies
from comparison.oracle import Oracle


def tekken() -> Tekkenizer:
    """The Tekken tokenizer that `mistral-common` ships: 131,072 tokens, the first thousand of them special."""
    import mistral_common

    return Tekkenizer.from_file(Path(mistral_common.__file__).parent / "data" / "tekken_240911.json")


def tekken_tokens(tokenizer: Tekkenizer) -> list[bytes | None]:
    special = tokenizer.num_special_tokens
    return [None if i < special else tokenizer.id_to_byte_piece(i) for i in range(tokenizer.n_words)]


def main() -> None:
    data, names = Path(sys.argv[1]), sys.argv[2:]
    tokenizer = tekken()
    tokens = tekken_tokens(tokenizer)
    assert len(tokens) == 131_072, len(tokens)
    vocabularies.write(data / "tekken.tokens", tokens)
    every = cases.all_cases(tokens)
    chosen = [c for c in every if not names or c.name in names]
    (data / "masks").mkdir(parents=True, exist_ok=True)
    oracle = None
    written = []
    for case in every:
        assert regex.fullmatch(case.pattern, case.sample), case.name
        ids = tokenizer.encode(case.sample, bos=False, eos=False)
        assert b"".join(tokens[i] or b"" for i in ids).decode() == case.sample, case.name
        written.append({"name": case.name, "pattern": case.pattern, "sample": case.sample, "ids": ids})
        if case not in chosen:
            continue
        key = hashlib.sha256(repr((case.pattern, ids, len(tokens), regex.__version__, 1)).encode()).hexdigest()
        path, stamp = data / "masks" / f"{case.name}.npy", data / "masks" / f"{case.name}.key"
        if not (stamp.exists() and stamp.read_text() == key):
            began = time.process_time()
            oracle = oracle or Oracle(tokens, vocabularies.TEKKEN_EOS)
            np.save(path, oracle.masks(case.pattern, ids))
            stamp.write_text(key)
            print(f"oracle: {case.name}: {len(ids) + 1} masks in {time.process_time() - began:.1f} s", file=sys.stderr)
    (data / "cases.json").write_text(json.dumps(written, ensure_ascii=False))
    (data / "split.txt").write_text(tokenizer._model._pat_str)


if __name__ == "__main__":
    main()
