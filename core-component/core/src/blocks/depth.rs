//! Which bytes of a block stand inside parentheses.

/// How many parentheses are open, where that is one at most.
#[derive(Clone, Copy)]
pub(super) struct Depth(u64);

impl Depth {
    #[inline]
    pub(super) fn flat(depth: u32) -> Option<Self> {
        (depth <= 1).then_some(Self(u64::from(depth)))
    }

    /// Behind a block, by what of it stands inside parentheses.
    #[inline]
    pub(super) fn behind(nested: u64) -> Self {
        Self(nested >> 63)
    }

    pub(super) fn count(self) -> u32 {
        self.0 as u32
    }

    /// What stands inside parentheses, with those that open; none where more than one is open, or one
    /// is closed that was not opened.
    ///
    /// A subtraction borrows from each place behind one that opens, up to the one that closes it. At
    /// both of them the difference is what it should be only if they come by turns.
    #[inline]
    pub(super) fn nested(self, opens: u64, closes: u64) -> Option<u64> {
        let nested = closes.wrapping_sub(opens).wrapping_sub(self.0);
        (nested & (opens | closes) == opens).then_some(nested)
    }
}

/// The terminators that stand outside parentheses, and the depth behind the block.
pub(super) fn outside(terminators: u64, opens: u64, closes: u64, depth: u32) -> (u64, u32) {
    if let Some(nested) = Depth::flat(depth).and_then(|depth| depth.nested(opens, closes)) {
        return (terminators & !nested, Depth::behind(nested).count());
    }
    let (mut outside, mut depth, mut rest) = (0, depth, terminators | opens | closes);
    while rest != 0 {
        let bit = rest & rest.wrapping_neg();
        rest ^= bit;
        if terminators & bit != 0 {
            outside |= if depth == 0 { bit } else { 0 };
        } else if opens & bit != 0 {
            depth = depth.saturating_add(1);
        } else {
            depth = depth.saturating_sub(1);
        }
    }
    (outside, depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte after the other.
    fn slowly(terminators: u64, opens: u64, closes: u64, mut depth: u32) -> (u64, u32) {
        let mut outside = 0;
        for bit in (0..64).map(|place| 1 << place) {
            if terminators & bit != 0 && depth == 0 {
                outside |= bit;
            } else if opens & bit != 0 {
                depth += 1;
            } else if closes & bit != 0 {
                depth = depth.saturating_sub(1);
            }
        }
        (outside, depth)
    }

    #[test]
    fn terminators_outside_are_found_however_parentheses_stand() {
        // Each place has one of four: all ways in which six places, at both ends and in between,
        // can be filled.
        const PLACES: [u32; 6] = [0, 1, 17, 40, 62, 63];
        for way in 0..4_u32.pow(6) {
            let [mut terminators, mut opens, mut closes] = [0_u64; 3];
            for (index, place) in (0..).zip(PLACES) {
                let bit = 1 << place;
                match way >> (2 * index) & 3 {
                    0 => {}
                    1 => opens |= bit,
                    2 => closes |= bit,
                    _ => terminators |= bit,
                }
            }
            for depth in [0, 1, 2, u32::MAX - 6] {
                let expected = slowly(terminators, opens, closes, depth);
                assert_eq!(outside(terminators, opens, closes, depth), expected, "{way} {depth}");
            }
        }
    }

    #[test]
    fn what_is_flat_needs_no_second_look() {
        let [open, close] = [1_u64 << 3, 1 << 9];
        let none = Depth::flat(0).unwrap();
        assert_eq!(none.nested(open, close), Some((close - 1) & !(open - 1)));
        assert_eq!(none.nested(0, close), None);
        assert_eq!(none.nested(open | open << 1, close), None);
        assert_eq!(Depth::flat(1).unwrap().nested(0, close), Some(close - 1));
        assert_eq!(Depth::flat(1).unwrap().nested(open, close), None);
        assert!(Depth::flat(2).is_none());
    }
}
