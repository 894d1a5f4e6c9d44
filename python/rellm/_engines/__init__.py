"""From a constraint and a vocabulary to masks: the automaton of the core, and the search engine."""
