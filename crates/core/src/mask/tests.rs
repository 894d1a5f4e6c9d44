use super::*;
use crate::automaton::Automaton;
use crate::automaton::Completion;
use crate::codepoints::CodePoints;
use crate::mask::hints::{CharLoop, CharLoopSets, MaskHints};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Reproducible numbers: xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n as u64) as usize
    }
}

/// The characters of the test languages: two of them share a first byte.
pub(crate) const CHARACTERS: [char; 5] = ['a', 'b', 'c', 'é', 'è'];

/// A deterministic automaton over [`CHARACTERS`] with the start state 0; `None`: no transition.
#[derive(Debug, Clone)]
pub(crate) struct Language {
    pub(crate) next: Vec<[Option<usize>; 5]>,
    pub(crate) accepting: Vec<bool>,
}

impl Language {
    pub(crate) fn random(random: &mut Random) -> Self {
        let states = 1 + random.below(6);
        let density = 1 + random.below(4);
        let next = (0..states)
            .map(|_| std::array::from_fn(|_| (random.below(5) < density).then(|| random.below(states))))
            .collect();
        Language { next, accepting: (0..states).map(|_| random.below(3) == 0).collect() }
    }

    /// As an automaton over bytes, texts restricted to `alphabet`.
    pub(crate) fn automaton(&self, alphabet: &CodePoints) -> Table {
        let mut table =
            Table { next: Vec::new(), accepting: Vec::new(), start: StateId::DEAD, alive: Vec::new(), renumber: 0 };
        // Byte states: 1 + 2 * state, and one more for "after the byte C3".
        let count = self.next.len();
        table.next = vec![[0; 256]; 1 + 2 * count];
        table.accepting = vec![false; 1 + 2 * count];
        let mut encoded = [0; 4];
        for state in 0..count {
            table.accepting[1 + 2 * state] = self.accepting[state];
            for (index, target) in self.next[state].iter().enumerate() {
                let character = CHARACTERS[index];
                let (Some(target), true) = (target, alphabet.contains(u32::from(character))) else { continue };
                match *character.encode_utf8(&mut encoded).as_bytes() {
                    [byte] => table.next[1 + 2 * state][usize::from(byte)] = 1 + 2 * *target as u32,
                    [lead, byte] => {
                        table.next[1 + 2 * state][usize::from(lead)] = 2 + 2 * state as u32;
                        table.next[2 + 2 * state][usize::from(byte)] = 1 + 2 * *target as u32;
                    }
                    _ => unreachable!(),
                }
            }
        }
        table.alive = table.accepting.clone();
        while table.spread() {}
        table.start = if table.alive[1] { StateId(1) } else { StateId::DEAD };
        table
    }

    /// The state after `bytes` (and whether a byte C3 is pending), dead or alive.
    pub(crate) fn run(&self, from: (usize, bool), bytes: &[u8]) -> Option<(usize, bool)> {
        let mut at = from;
        for &byte in bytes {
            at = match (at, byte) {
                ((state, false), 0xC3) => (state, true),
                ((state, false), b'a'..=b'c') => (self.next[state][usize::from(byte - b'a')]?, false),
                ((state, true), 0xA9) => (self.next[state][3]?, false),
                ((state, true), 0xA8) => (self.next[state][4]?, false),
                _ => return None,
            };
        }
        Some(at)
    }
}

/// A table over bytes; state 0 is dead. `renumber` shifts the ids at each `retain`, so that stale ids show.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    next: Vec<[u32; 256]>,
    accepting: Vec<bool>,
    alive: Vec<bool>,
    start: StateId,
    renumber: u32,
}

impl Table {
    fn spread(&mut self) -> bool {
        let mut changed = false;
        for state in 1..self.next.len() {
            if !self.alive[state] && self.next[state].iter().any(|&target| self.alive[target as usize]) {
                self.alive[state] = true;
                changed = true;
            }
        }
        changed
    }

    fn run(&mut self, from: StateId, character: char) -> Result<StateId> {
        let mut at = from;
        for byte in character.to_string().bytes() {
            at = if at == StateId::DEAD { at } else { self.step(at, byte)? };
        }
        Ok(at)
    }

    fn row(&self, state: StateId) -> usize {
        (state.0 - self.renumber) as usize
    }

    fn id(&self, row: u32) -> StateId {
        if row == 0 || !self.alive[row as usize] { StateId::DEAD } else { StateId(row + self.renumber) }
    }
}

impl Automaton for Table {
    fn start(&self) -> StateId {
        if self.start == StateId::DEAD { StateId::DEAD } else { StateId(1 + self.renumber) }
    }

    fn step(&mut self, state: StateId, byte: u8) -> Result<StateId> {
        Ok(self.id(self.next[self.row(state)][usize::from(byte)]))
    }

    fn is_accepting(&mut self, state: StateId) -> bool {
        self.accepting[self.row(state)]
    }

    fn shortest_completion(&mut self, state: StateId, _work: u64) -> Result<Completion> {
        let mut seen = BTreeSet::from([state]);
        let mut queue = VecDeque::from([(state, Vec::new())]);
        while let Some((state, text)) = queue.pop_front() {
            if self.is_accepting(state) {
                return Ok(Completion { text, is_shortest: true, is_only: false });
            }
            for byte in 0..=255 {
                let next = self.step(state, byte)?;
                if next != StateId::DEAD && seen.insert(next) {
                    let mut text = text.clone();
                    text.push(byte);
                    queue.push_back((next, text));
                }
            }
        }
        unreachable!("a state that is not dead has a completion")
    }

    fn next_characters(&mut self, state: StateId) -> Result<CodePoints> {
        let cut = self.row(state) % 2 == 0;
        let mut found = CodePoints::empty();
        for character in CHARACTERS {
            let text = character.to_string();
            let mut at = state;
            let bytes = text.as_bytes();
            let bytes = if cut && bytes.len() == 2 { &bytes[1..] } else { bytes };
            if cut && character.is_ascii() {
                continue;
            }
            for &byte in bytes {
                at = if at == StateId::DEAD { at } else { self.step(at, byte)? };
            }
            if at != StateId::DEAD {
                found = found.union(&CodePoints::single(u32::from(character)));
            }
        }
        Ok(found)
    }

    fn refuel(&mut self, _fuel: u64) {}

    fn memory_bytes(&self) -> usize {
        0
    }

    fn retain(&mut self, roots: &[StateId]) -> Vec<StateId> {
        self.renumber += 100;
        roots.iter().map(|root| StateId(root.0 + 100)).collect()
    }
}

impl MaskHints for Table {
    /// The hints for a class chosen by the state's number, computed by following all its texts.
    fn char_loop(&mut self, state: StateId) -> Result<Option<CharLoop>> {
        if self.row(state) % 2 == 0 {
            return Ok(None);
        }
        let chosen = (self.row(state) * 7 + 3) % 32;
        let inside: Vec<char> = (0..5).filter(|i| chosen >> i & 1 == 1).map(|i| CHARACTERS[i]).collect();
        let mut levels = vec![BTreeSet::from([state])];
        loop {
            let last = levels.last().unwrap().clone();
            let mut next = BTreeSet::new();
            for &from in &last {
                for &character in &inside {
                    next.insert(self.run(from, character)?);
                }
            }
            if next.contains(&StateId::DEAD) || next.is_empty() || levels.len() == 30 {
                let reach = if levels.len() == 30 { u32::MAX } else { levels.len() as u32 - 1 };
                if reach == 0 {
                    return Ok(None);
                }
                let beyond_is_dead = reach != u32::MAX && next.iter().all(|&state| state == StateId::DEAD);
                // If texts beyond the reach are dead, exits after exactly `reach` characters count too.
                let counted = levels.len() - usize::from(!beyond_is_dead && reach != u32::MAX);
                let mut exits = CodePoints::empty();
                for &from in levels[..counted].iter().flatten() {
                    for character in CHARACTERS.into_iter().filter(|c| !inside.contains(c)) {
                        if self.run(from, character)? != StateId::DEAD {
                            exits = exits.union(&CodePoints::single(u32::from(character)));
                        }
                    }
                }
                let class = CodePoints::from_ranges(inside.iter().map(|&c| (u32::from(c), u32::from(c))));
                let sets = Arc::new(CharLoopSets { class: Arc::new(class), exits: Arc::new(exits) });
                return Ok(Some(CharLoop { sets, reach, beyond_is_dead }));
            }
            levels.push(next);
        }
    }
}

/// Random tokens over the bytes of [`CHARACTERS`] and one more, some special, some empty, some twice.
pub(crate) fn random_tokens(random: &mut Random) -> Vec<Option<Vec<u8>>> {
    const BYTES: [u8; 7] = [b'a', b'b', b'c', 0xC3, 0xA9, 0xA8, b'x'];
    const CHARACTER_BYTES: [&[u8]; 5] = [b"a", b"b", b"c", "é".as_bytes(), "è".as_bytes()];
    let whole = random.below(2) == 0;
    let mut tokens: Vec<Option<Vec<u8>>> = (0..1 + random.below(12))
        .map(|_| {
            let length = random.below(4);
            match random.below(12) {
                0 => None,
                _ if whole => Some((0..length).flat_map(|_| CHARACTER_BYTES[random.below(5)].to_vec()).collect()),
                _ => Some((0..length).map(|_| BYTES[random.below(7)]).collect()),
            }
        })
        .collect();
    if random.below(2) == 0 {
        tokens.extend(BYTES.iter().filter(|_| random.below(8) > 0).map(|&byte| Some(vec![byte])));
    }
    if random.below(8) == 0 {
        tokens.push(Some(b"ab".repeat(200)));
    }
    tokens
}

/// The definition of liveness: the states from which tokens lead to a match, computed as a fixpoint.
pub(crate) fn live_by_tokens(language: &Language, tokens: &[Option<Vec<u8>>], eos: &[u32]) -> BTreeSet<(usize, bool)> {
    let mut live: BTreeSet<(usize, bool)> =
        (0..language.next.len()).filter(|&state| language.accepting[state]).map(|state| (state, false)).collect();
    loop {
        let before = live.len();
        for state in (0..language.next.len()).flat_map(|state| [(state, false), (state, true)]) {
            let leads = tokens.iter().enumerate().any(|(id, token)| {
                token.as_ref().is_some_and(|bytes| {
                    !bytes.is_empty()
                        && !eos.contains(&(id as u32))
                        && language.run(state, bytes).is_some_and(|target| live.contains(&target))
                })
            });
            if leads {
                live.insert(state);
            }
        }
        if live.len() == before {
            return live;
        }
    }
}

/// The tokens that are allowed at `state`, by the definition.
pub(crate) fn allowed_by_definition(
    language: &Language,
    tokens: &[Option<Vec<u8>>],
    eos: &[u32],
    live: &BTreeSet<(usize, bool)>,
    state: (usize, bool),
) -> Vec<u32> {
    (0..tokens.len().max(eos.iter().max().map_or(0, |&id| id as usize + 1)) as u32)
        .filter(|id| {
            if eos.contains(id) {
                return !state.1 && language.accepting[state.0];
            }
            tokens.get(*id as usize).and_then(Option::as_ref).is_some_and(|bytes| {
                !bytes.is_empty() && language.run(state, bytes).is_some_and(|target| live.contains(&target))
            })
        })
        .collect()
}

pub(crate) fn vocabulary_of(tokens: &[Option<Vec<u8>>], eos: &[u32]) -> Arc<Vocabulary> {
    Arc::new(Vocabulary::new(tokens.iter().map(Option::as_deref), eos).unwrap())
}

pub(crate) fn ids(mask: &[u32]) -> Vec<u32> {
    (0..mask.len() as u32 * 32).filter(|&id| mask[id as usize / 32] >> (id % 32) & 1 == 1).collect()
}

/// The least number of tokens to a match from each state, computed as a fixpoint.
pub(crate) fn distances_by_definition(
    language: &Language,
    tokens: &[Option<Vec<u8>>],
    eos: &[u32],
) -> BTreeMap<(usize, bool), usize> {
    let mut distances: BTreeMap<(usize, bool), usize> =
        (0..language.next.len()).filter(|&state| language.accepting[state]).map(|state| ((state, false), 0)).collect();
    loop {
        let before = distances.clone();
        for state in (0..language.next.len()).flat_map(|state| [(state, false), (state, true)]) {
            for (id, token) in tokens.iter().enumerate() {
                let Some(bytes) = token.as_ref().filter(|bytes| !bytes.is_empty() && !eos.contains(&(id as u32)))
                else {
                    continue;
                };
                let Some(&beyond) = language.run(state, bytes).and_then(|target| before.get(&target)) else { continue };
                let known = distances.entry(state).or_insert(usize::MAX);
                *known = (*known).min(beyond + 1);
            }
        }
        if distances == before {
            return distances;
        }
    }
}
