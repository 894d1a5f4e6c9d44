"""A chain: a prompt's template, a model that can only write the JSON that is wanted, and a parser that cannot fail.

python examples/chain_with_parser.py FOLDER        (a model's folder; `rellm demo --folder` prints one)
"""

import sys

from langchain_core.output_parsers import JsonOutputParser
from langchain_core.prompts import PromptTemplate
from rellm.integrations.langchain import RELLM

template = PromptTemplate.from_template(
    """City: Lima
Facts: {{"country": "Peru", "population": 10000000}}
City: Oslo
Facts: {{"country": "Norway", "population": 700000}}
City: {city}
Facts:"""
)
facts = r' \{"country": "[A-Z][A-Za-z ]{2,30}", "population": [1-9][0-9]{3,7}\}'

llm = RELLM.from_model_id(sys.argv[1], regex=facts, max_new_tokens=40)
chain = template | llm | JsonOutputParser()

for city, answer in zip(["Paris", "Cairo"], chain.batch([{"city": "Paris"}, {"city": "Cairo"}]), strict=True):
    print(f"{city}: {answer['country']}, {answer['population']:,} people")
