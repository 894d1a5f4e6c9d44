//! The cheapest way to close a collection, or a row of items.

use crate::derivative::calculus::{Calculus, STEP};
use crate::derivative::cheapest::{Cheapest, NONE};
use crate::error::Result;
use crate::expression::collections::{MembersSpec, Seen};
use crate::expression::node::{EMPTY, Expr, ExprId};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A cost in bytes, and what is to be written.
type Way = (u64, Vec<ExprId>);

/// The most ways to close a collection with guards that are compared; a further search costs more than it gains.
const MOST_NODES: u32 = 2_000;

/// The sum of costs that are all known.
fn total(costs: [u64; 3]) -> Option<u64> {
    (!costs.contains(&NONE)).then(|| costs.iter().fold(0, |sum: u64, &cost| sum.saturating_add(cost)).min(NONE - 1))
}

impl Cheapest {
    /// The cheapest way to close a collection, a key and its collection, or a row of items; `None`: none is known.
    pub(crate) fn cheapest_close(&mut self, calculus: &mut Calculus, id: ExprId) -> Result<Option<Way>> {
        match *calculus.arena.get(id) {
            Expr::Members { spec, seen } => {
                let seen = calculus.seen(seen);
                self.cheapest_members(calculus, spec, &seen, &mut 0)
            }
            Expr::Keys { spec, seen, lo, hi, depth } => {
                let seen = calculus.seen(seen);
                let mut work = 0;
                let keys = calculus.spec(spec).allowed(&seen, lo..hi, &mut work);
                calculus.spend(work)?;
                let mut best: Option<Way> = None;
                for key in keys {
                    let (at, len) = calculus.arena.tables[calculus.spec(spec).table as usize][key as usize];
                    let rest = calculus.arena.string(at + depth, len - depth);
                    let follow = calculus.spec(spec).follows[key as usize];
                    let after = calculus.spec(spec).after_key(&seen, key);
                    let costs = [self.cost_so_far(calculus, rest)?, self.cost_so_far(calculus, follow)?];
                    let Some((cost, mut pieces)) = self.cheapest_members(calculus, spec, &after, &mut 0)? else {
                        continue;
                    };
                    let Some(cost) = total([cost, costs[0], costs[1]]) else { continue };
                    if best.as_ref().is_none_or(|best| cost < best.0) {
                        pieces.splice(0..0, [rest, follow]);
                        best = Some((cost, pieces));
                    }
                }
                Ok(best)
            }
            Expr::Items { spec, seen } => self.cheapest_items(calculus, spec, seen),
            _ => Ok(None),
        }
    }

    /// The cheapest way to close: what is required, what guards ask for, and as many more as are wanted.
    fn cheapest_members(
        &mut self,
        calculus: &mut Calculus,
        spec: u32,
        seen: &Seen,
        nodes: &mut u32,
    ) -> Result<Option<Way>> {
        let whole = calculus.spec(spec).clone();
        let (mut seen, mut so_far, mut written) = (seen.clone(), 0u64, Vec::new());
        // As long as one member is the next one for sure, there is nothing to compare.
        let (cost, pieces) = loop {
            if whole.can_close(&seen) {
                let cost = self.cost_so_far(calculus, whole.close)?;
                if cost == NONE {
                    return Ok(None);
                }
                break (cost, vec![whole.close]);
            }
            let mut ways = self.next_members(calculus, &whole, &seen)?;
            *nodes += 1;
            if ways.len() != 1 {
                match self.cheapest_of(calculus, spec, ways, nodes)? {
                    Some(way) => break way,
                    None => return Ok(None),
                }
            }
            let Some((cost, pieces, after)) = ways.pop() else { return Ok(None) };
            so_far = so_far.saturating_add(cost);
            written.extend(pieces);
            seen = after;
        };
        written.extend(pieces);
        Ok(total([so_far, cost, 0]).map(|cost| (cost, written)))
    }

    /// The cheapest of several ways to go on.
    fn cheapest_of(
        &mut self,
        calculus: &mut Calculus,
        spec: u32,
        ways: Vec<(u64, Vec<ExprId>, Seen)>,
        nodes: &mut u32,
    ) -> Result<Option<Way>> {
        let mut best: Option<Way> = None;
        for (cost, mut pieces, after) in ways {
            if best.as_ref().is_some_and(|best| best.0 <= cost) || (best.is_some() && *nodes > MOST_NODES) {
                break;
            }
            let Some((rest, more)) =
                calculus.deeper(|calculus| self.cheapest_members(calculus, spec, &after, nodes))?
            else {
                continue;
            };
            let Some(cost) = total([cost, rest, 0]) else { continue };
            if best.as_ref().is_none_or(|best| cost < best.0) {
                pieces.extend(more);
                best = Some((cost, pieces));
            }
        }
        Ok(best)
    }

    /// The members that may come next on a cheapest way, the cheapest first: a required one, if one is missing; only one,
    /// if they do not depend on one another.
    fn next_members(
        &mut self,
        calculus: &mut Calculus,
        whole: &MembersSpec,
        seen: &Seen,
    ) -> Result<Vec<(u64, Vec<ExprId>, Seen)>> {
        let keys = whole.follows.len() as u32;
        calculus.spend(STEP + u64::from(keys))?;
        let separator = if seen.begun { whole.between } else { whole.first };
        let mut work = 0;
        let mut allowed = whole.allowed(seen, 0..keys, &mut work);
        calculus.spend(work)?;
        if let Some(&required) =
            allowed.iter().filter(|&&key| whole.required[key as usize]).min_by_key(|&&key| whole.places[key as usize])
            && !(whole.ordered && whole.guarded.iter().any(|&guarded| guarded))
        {
            allowed = vec![required];
        }
        let mut ways: Vec<(u64, Vec<ExprId>, Seen)> = Vec::new();
        for key in allowed {
            let (at, len) = calculus.arena.tables[whole.table as usize][key as usize];
            let text = calculus.arena.string(at, len);
            let follow = whole.follows[key as usize];
            let costs = [
                self.cost_so_far(calculus, separator)?,
                self.cost_so_far(calculus, text)?,
                self.cost_so_far(calculus, follow)?,
            ];
            if let Some(cost) = total(costs) {
                ways.push((cost, vec![separator, text, follow], whole.after_key(seen, key)));
            }
        }
        let is_missing = (0..keys).any(|key| whole.required[key as usize] && !seen.has(key));
        if !is_missing || whole.ordered {
            for &(key, follow, bit) in &whole.others {
                let costs = [
                    self.cost_so_far(calculus, separator)?,
                    self.cost_so_far(calculus, key)?,
                    self.cost_so_far(calculus, follow)?,
                ];
                let after = whole.after_other(seen, bit);
                // One more that changes nothing is one too many.
                if let Some(cost) = total(costs)
                    && after != *seen
                    && whole.can_end(&after, &mut 0)
                {
                    ways.push((cost, vec![separator, key, follow], after));
                }
            }
        }
        ways.sort_by_key(|way| way.0);
        if whole.guards.is_empty() && !whole.ordered {
            // Members do not depend on one another: the cheapest is part of the cheapest whole.
            ways.truncate(1);
        }
        Ok(ways)
    }

    /// Dijkstra's algorithm over what has been seen of a row.
    fn cheapest_items(&mut self, calculus: &mut Calculus, spec: u32, start: u32) -> Result<Option<Way>> {
        let mut best: FxHashMap<u32, (u64, u32, [ExprId; 2])> = FxHashMap::default();
        let mut queue = BinaryHeap::new();
        best.insert(start, (0, start, [EMPTY; 2]));
        queue.push(Reverse((0, start, false)));
        while let Some(Reverse((cost, at, closed))) = queue.pop() {
            calculus.spend(STEP)?;
            let items = &calculus.arena.collections.items[spec as usize];
            let (between, first, close) = (items.between, items.first, items.close);
            if closed {
                let mut pieces = vec![close];
                let mut back = at;
                while back != start {
                    let (_, parent, [before, item]) = best[&back];
                    pieces.extend([item, before]);
                    back = parent;
                }
                pieces.reverse();
                return Ok(Some((cost, pieces)));
            }
            if best[&at].0 < cost {
                continue;
            }
            let seen = calculus.arena.collections.seen[at as usize].clone();
            let next: Vec<(ExprId, Seen)> =
                items.ways(&seen).iter().filter_map(|way| Some((way.1, items.after(&seen, &way.0)?))).collect();
            if items.can_close(&seen)
                && let Some(whole) = total([cost, self.cost_so_far(calculus, close)?, 0])
            {
                queue.push(Reverse((whole, at, true)));
            }
            let before = if seen.begun { between } else { first };
            let separator = self.cost_so_far(calculus, before)?;
            for (item, seen) in next {
                let number = calculus.arena.collections.number(seen);
                let Some(cost) = total([cost, separator, self.cost_so_far(calculus, item)?]) else { continue };
                if best.get(&number).is_none_or(|known| cost < known.0) {
                    best.insert(number, (cost, at, [before, item]));
                    queue.push(Reverse((cost, number, false)));
                }
            }
        }
        Ok(None)
    }
}
