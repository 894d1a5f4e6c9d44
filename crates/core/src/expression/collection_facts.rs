//! What is known of collections without looking further: see `facts.rs`.

use crate::expression::arena::Arena;
use crate::expression::info::{ANY_FIRST, Info, flag, product, sum};
use crate::expression::node::NOTHING;

impl Arena {
    /// What is known of a collection of members.
    pub(crate) fn inspect_members(&self, spec: u32, seen: u32) -> Info {
        let spec = &self.collections.members[spec as usize];
        let seen = &self.collections.seen[seen as usize];
        let close = *self.info(spec.close);
        let before = *self.info(if seen.begun { spec.between } else { spec.first });
        let between = *self.info(spec.between);
        let mut info = Info { min_len: close.min_len, ..Info::default() };
        info.flags = flag::PLAIN | (close.flags | before.flags | between.flags) & flag::RULES;
        let strings = &self.tables[spec.table as usize];
        let mut missing = 0;
        let mut plain = close.flags & before.flags & between.flags;
        for (key, &follow) in spec.follows.iter().enumerate().filter(|(_, follow)| **follow != NOTHING) {
            let of_follow = self.info(follow);
            info.flags |= of_follow.flags & flag::RULES;
            plain &= of_follow.flags | !flag::PLAIN;
            if spec.required[key] && !seen.has(key as u32) {
                let separator = if missing == 0 { before.min_len } else { between.min_len };
                for length in [separator, strings[key].1, of_follow.min_len] {
                    info.min_len = sum(info.min_len, length);
                }
                missing += 1;
            }
        }
        for &(key, follow, _) in &spec.others {
            info.flags |= (self.info(key).flags | self.info(follow).flags) & flag::RULES;
            plain &= (self.info(key).flags & self.info(follow).flags) | !flag::PLAIN;
        }
        if plain & flag::PLAIN == 0 {
            info.flags &= !flag::PLAIN;
        }
        let closes = spec.can_close(seen);
        if closes {
            info.first |= close.first;
            info.flags |= close.flags & (flag::SKIPS | flag::MAY_SKIP | flag::LOOSE);
        }
        let is_simple = spec.is_simple();
        let goes_on = !is_simple
            || !spec.others.is_empty()
            || !spec.allowed(seen, 0..spec.follows.len() as u32, &mut 0).is_empty();
        if !goes_on {
            return info;
        }
        info.first |= before.first;
        info.flags |= before.flags & flag::LOOSE;
        if !is_simple || before.flags & flag::MAY_SKIP != 0 {
            // What cannot come is found where it is derived.
            info.flags |= flag::LOOSE;
        }
        if before.flags & flag::MAY_SKIP != 0 {
            for (key, _) in spec.follows.iter().enumerate().filter(|(_, follow)| **follow != NOTHING) {
                let (at, len) = strings[key];
                info.first |= if len == 0 { ANY_FIRST } else { self.folded(self.pool[at as usize]) };
            }
            for &(key, _, _) in &spec.others {
                info.first |= self.info(key).first;
            }
        }
        info
    }

    /// What is known of the rest of a key.
    pub(crate) fn inspect_keys(&self, spec: u32, seen: u32, (lo, hi): (u32, u32), depth: u32) -> Info {
        let spec = &self.collections.members[spec as usize];
        let seen = &self.collections.seen[seen as usize];
        let strings = &self.tables[spec.table as usize];
        let mut info = Info { min_len: u32::MAX, flags: flag::PLAIN, ..Info::default() };
        let keys = if spec.is_simple() || seen.opaque {
            spec.allowed(seen, lo..hi, &mut 0)
        } else {
            // What cannot come is found where it is derived.
            info.flags |= flag::LOOSE;
            (lo..hi).filter(|&key| spec.follows[key as usize] != NOTHING).collect()
        };
        for key in keys {
            let ((at, len), follow) = (strings[key as usize], spec.follows[key as usize]);
            let of_follow = self.info(follow);
            info.min_len = info.min_len.min(sum(len - depth, of_follow.min_len));
            info.flags |= of_follow.flags & flag::RULES;
            if of_follow.flags & flag::PLAIN == 0 {
                info.flags &= !flag::PLAIN;
            }
            if len > depth {
                info.first |= self.folded(self.pool[(at + depth) as usize]);
            } else {
                info.first |= ANY_FIRST;
            }
        }
        let close = self.info(spec.close);
        info.flags |= (close.flags | self.info(spec.between).flags) & flag::RULES;
        info.min_len = sum(info.min_len, close.min_len);
        info
    }

    /// What is known of a row of items.
    pub(crate) fn inspect_items(&self, spec: u32, seen: u32) -> Info {
        let spec = &self.collections.items[spec as usize];
        let seen = &self.collections.seen[seen as usize];
        let close = *self.info(spec.close);
        let before = *self.info(if seen.begun { spec.between } else { spec.first });
        let mut info = Info { min_len: close.min_len, flags: flag::PLAIN | flag::LOOSE, ..Info::default() };
        let mut plain = close.flags & before.flags & self.info(spec.between).flags;
        info.flags |= (close.flags | before.flags | self.info(spec.between).flags) & flag::RULES;
        let mut least = u32::MAX;
        for (_, item) in spec.groups.iter().flatten() {
            let of_item = self.info(*item);
            least = least.min(of_item.min_len);
            info.flags |= of_item.flags & flag::RULES;
            plain &= of_item.flags | !flag::PLAIN;
        }
        if plain & flag::PLAIN == 0 {
            info.flags &= !flag::PLAIN;
        }
        let wanted = spec.wanted(seen);
        if wanted > 0 {
            let more = product(sum(least, self.info(spec.between).min_len), wanted - 1);
            for length in [before.min_len, least, more] {
                info.min_len = sum(info.min_len, length);
            }
        }
        if spec.can_close(seen) {
            info.first |= close.first;
            info.flags |= close.flags & (flag::SKIPS | flag::MAY_SKIP);
        }
        info.first |= before.first;
        if before.flags & flag::MAY_SKIP != 0 {
            spec.ways(seen).iter().for_each(|(_, item)| info.first |= self.info(*item).first);
        }
        info
    }
}
