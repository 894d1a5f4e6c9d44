"""Makes what all engines share: Tekken's tokens, and schemas with the tokens of their valid instances.

python -m comparison.json_prepare DATA SCHEMAS COUNT      run in the environment of the tools
"""

import json
import lzma
import sys
from pathlib import Path

from comparison import vocabularies
from comparison.prepare import tekken, tekken_tokens

MOST_TOKENS = 2000


def main() -> None:
    data, schemas, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    tokenizer = tekken()
    vocabularies.write(data / "tekken.tokens", tekken_tokens(tokenizer))
    (data / "split.txt").write_text(tokenizer._model._pat_str)
    with lzma.open(schemas, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    # Every so manieth, so that a part has schemas of all sources.
    chosen = rows[:: max(len(rows) // count, 1)][:count]
    with open(data / "schemas.jsonl", "w") as out:
        for row in chosen:
            instances = [json.dumps(test["data"], ensure_ascii=False) for test in row["tests"] if test["valid"]]
            texts = [tokenizer.encode(text, bos=False, eos=False)[:MOST_TOKENS] for text in instances]
            schema = json.dumps(row["schema"], ensure_ascii=False)
            out.write(json.dumps({"name": row["name"], "schema": schema, "texts": texts}) + "\n")


if __name__ == "__main__":
    main()
