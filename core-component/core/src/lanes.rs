//! Looks at 64 bytes at once with vector instructions: WebAssembly's own, which are safe to call, and
//! elsewhere those that the crate `wide` makes so. The same steps everywhere.

pub(crate) use self::vector::{Part, Set, Splat};

/// Bytes that are looked at at once.
pub(crate) const LANES: usize = 64;

/// Bytes of a [`Part`].
pub(crate) const PART: usize = 16;

/// The most bytes of a [`Set`].
const MOST_OF_SET: usize = 6;

/// 64 bytes: of a text, or flags that are all ones or all zeros.
#[derive(Clone, Copy)]
pub(crate) struct Lanes([Part; 4]);

impl Lanes {
    #[inline]
    pub(crate) fn load(bytes: &[u8; LANES]) -> Self {
        let (parts, _) = bytes.as_chunks();
        Self([0, 1, 2, 3].map(|part: usize| Part::load(&parts[part])))
    }

    /// Flags the lanes that are this byte.
    #[inline]
    pub(crate) fn equal(self, byte: Splat) -> Self {
        Self(self.0.map(|part| part.equal(byte)))
    }

    /// Flags the lanes that are one of these bytes.
    #[inline]
    pub(crate) fn any_of(self, set: Set) -> Self {
        Self(self.0.map(|part| part.any_of(set)))
    }

    /// With these bits set in each lane.
    #[inline]
    pub(crate) fn with(self, bits: Splat) -> Self {
        Self(self.0.map(|part| part.with(bits)))
    }

    #[inline]
    pub(crate) fn or(self, other: Self) -> Self {
        Self([0, 1, 2, 3].map(|part: usize| self.0[part].or(other.0[part])))
    }

    /// Whether any bit is set.
    #[inline]
    pub(crate) fn is_any(self) -> bool {
        let [a, b, c, d] = self.0;
        a.or(b).or(c.or(d)).is_any()
    }

    /// Whether any byte is: see [`Part::is_unusual`].
    #[inline]
    pub(crate) fn is_unusual(self) -> bool {
        Self(self.0.map(Part::is_unusual)).is_any()
    }

    /// The letters that may say of a string behind them how it is read, as bits.
    #[inline]
    pub(crate) fn letters(self) -> u64 {
        self.with(Splat::new(0x20)).equal(Splat::new(b'e')).bits()
    }

    /// What opens parentheses and what closes them, as bits.
    #[inline]
    pub(crate) fn parentheses(self) -> (u64, u64) {
        [b'(', b')'].map(|byte| self.equal(Splat::new(byte)).bits()).into()
    }

    /// The highest bit of each lane: the first lane is the lowest bit.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        let [a, b, c, d] = self.0.map(|part| u32::from(part.bits()));
        u64::from(a | b << 16) | u64::from(c | d << 16) << 32
    }
}

/// Bytes of two parts.
const DOUBLE: usize = 2 * PART;

/// Whether all bytes are ASCII.
pub(crate) fn is_ascii(text: &[u8]) -> bool {
    /// The most blocks that are looked at beyond one that has another byte.
    const MANY: usize = 32;
    let (blocks, rest) = text.as_chunks::<LANES>();
    let are = |blocks: &[[u8; LANES]]| {
        let load = |seen: Seen, block| seen.with(Lanes::load(block));
        blocks.iter().fold(Seen::new(), load).is_ascii()
    };
    blocks.chunks(MANY).all(are) && rest.is_ascii()
}

/// Bytes that were looked at.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// The least of each lane of all parts, as signed numbers: those beyond ASCII are below 0, which is
    /// below all others.
    least: Part,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self { least: Part::load(&[b' '; PART]) }
    }

    /// With these as well.
    #[inline]
    pub(crate) fn with(self, lanes: Lanes) -> Self {
        let [a, b, c, d] = lanes.0;
        Self { least: self.least.least(a.least(b).least(c.least(d))) }
    }

    pub(crate) fn is_ascii(self) -> bool {
        self.least.bits() == 0
    }

    /// Whether any of them may have been a NUL: for certain, where all are ASCII.
    pub(crate) fn may_have_nul(self) -> bool {
        !self.is_ascii() || self.least.equal(Splat::new(0)).is_any()
    }
}

/// Whether two texts have the same first bytes, so many: at least [`PART`] of them.
#[inline(always)]
pub(crate) fn begin_alike(text: &[u8; LANES], other: &[u8; LANES], length: usize) -> bool {
    let part = |bytes: &[u8; LANES], at: usize| bytes.get(at..)?.first_chunk().map(Part::load);
    let differs = |at: usize| Some(part(text, at)?.differs(part(other, at)?));
    let both = |one: usize, other: usize| Some(differs(one)?.or(differs(other)?));
    // Parts may be looked at twice.
    let first = both(0, length.wrapping_sub(PART));
    let all = match length {
        ..=DOUBLE => first,
        _ => first.zip(both(PART, length - DOUBLE)).map(|(first, others)| first.or(others)),
    };
    all.is_some_and(|all| !all.is_any())
}

/// Whether two texts are alike up to the first such byte of the one, and with it. None where neither
/// it nor a difference is among these bytes.
#[inline]
pub(crate) fn are_alike_to(byte: u8, one: &[u8; LANES], other: &[u8; LANES]) -> Option<bool> {
    let (ones, _) = one.as_chunks();
    let (others, _) = other.as_chunks();
    ones.iter().zip(others).find_map(|(one, other)| {
        let (one, other) = (Part::load(one), Part::load(other));
        let found = one.equal(Splat::new(byte)).bits();
        let alike = one.differs(other).equal(Splat::new(0)).bits();
        let first = (found | !alike).trailing_zeros();
        Some(alike.checked_shr(first)? & 1 == 1)
    })
}

/// Which bytes are one of `wanted`, as bits: the first byte is the lowest.
pub(crate) fn equal(bytes: &[u8; LANES], wanted: &[u8]) -> u64 {
    let lanes = Lanes::load(bytes);
    let Some((&first, others)) = wanted.split_first() else { return 0 };
    let first = lanes.equal(Splat::new(first));
    let found = others.iter().fold(first, |found, &byte| found.or(lanes.equal(Splat::new(byte))));
    found.bits()
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod vector {
    use std::arch::wasm32::{
        i8x16_bitmask, i8x16_eq, i8x16_gt, i8x16_min, i8x16_splat, i8x16_swizzle, i64x2,
        u8x16_splat, u8x16_sub, v128, v128_and, v128_any_true, v128_or, v128_xor,
    };

    use super::PART;

    /// 16 bytes: of a text, or flags that are all ones or all zeros.
    #[derive(Clone, Copy)]
    pub(crate) struct Part(v128);

    /// One byte, as it is compared with many.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Splat(v128);

    impl Splat {
        #[inline]
        pub(crate) fn new(byte: u8) -> Self {
            Self(u8x16_splat(byte))
        }
    }

    /// Bytes that differ in their lower halves: for each of these the one that has it.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Set(v128);

    impl Set {
        /// None where there are too many, or two with the same lower half.
        pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
            // No byte is at the place of its lower half.
            let mut table = [1_u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            for byte in bytes {
                let slot = &mut table[usize::from(byte & 0x0f)];
                let is_free = *slot & 0x0f != byte & 0x0f;
                is_free.then(|| *slot = *byte)?;
            }
            (bytes.len() <= super::MOST_OF_SET).then(|| Self(Part::load(&table).0))
        }
    }

    impl Part {
        #[inline]
        pub(crate) fn load(bytes: &[u8; PART]) -> Self {
            let (halves, _) = bytes.as_chunks();
            Self(i64x2(i64::from_le_bytes(halves[0]), i64::from_le_bytes(halves[1])))
        }

        /// Flags the lanes that are this byte.
        #[inline]
        pub(crate) fn equal(self, byte: Splat) -> Self {
            Self(i8x16_eq(self.0, byte.0))
        }

        /// Flags the lanes that are one of these bytes.
        #[inline]
        pub(super) fn any_of(self, set: Set) -> Self {
            let lower = v128_and(self.0, u8x16_splat(0x0f));
            Self(i8x16_eq(self.0, i8x16_swizzle(set.0, lower)))
        }

        /// Flags what is no digit.
        #[inline]
        pub(crate) fn no_digits(self) -> Self {
            // As signed numbers, digits become the lowest ones.
            let values = u8x16_sub(self.0, u8x16_splat(b'0' ^ 0x80));
            Self(i8x16_gt(values, i8x16_splat(i8::MIN + 9)))
        }

        /// Flags control characters, newlines among them, and what is no ASCII.
        #[inline]
        pub(crate) fn is_unusual(self) -> Self {
            // As signed numbers, those beyond ASCII are below 0.
            Self(i8x16_gt(i8x16_splat(b' ' as i8), self.0))
        }

        /// With these bits set in each lane.
        #[inline]
        pub(super) fn with(self, bits: Splat) -> Self {
            Self(v128_or(self.0, bits.0))
        }

        #[inline]
        pub(crate) fn or(self, other: Self) -> Self {
            Self(v128_or(self.0, other.0))
        }

        /// The bits that are not as in `other`.
        #[inline]
        pub(super) fn differs(self, other: Self) -> Self {
            Self(v128_xor(self.0, other.0))
        }

        /// The lesser byte of each lane, as signed numbers.
        #[inline]
        pub(super) fn least(self, other: Self) -> Self {
            Self(i8x16_min(self.0, other.0))
        }

        /// Whether any bit is set.
        #[inline]
        pub(super) fn is_any(self) -> bool {
            v128_any_true(self.0)
        }

        /// The highest bit of each lane: the first lane is the lowest bit.
        #[inline]
        pub(crate) fn bits(self) -> u16 {
            i8x16_bitmask(self.0)
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod vector {
    use wide::u8x16;

    use super::PART;

    /// 16 bytes: of a text, or flags that are all ones or all zeros.
    #[derive(Clone, Copy)]
    pub(crate) struct Part(u8x16);

    /// One byte, as it is compared with many.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Splat(u8x16);

    impl Splat {
        #[inline]
        pub(crate) fn new(byte: u8) -> Self {
            Self(u8x16::splat(byte))
        }
    }

    /// A few bytes; not every processor has an instruction for more than one of them.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Set([u8x16; super::MOST_OF_SET]);

    impl Set {
        /// None where there are too many, or two with the same lower half.
        pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
            let first = bytes.first()?;
            let mut set = [u8x16::splat(*first); super::MOST_OF_SET];
            for (index, byte) in bytes.iter().enumerate() {
                let is_like = |other: &u8| other & 0x0f == byte & 0x0f;
                let is_free = !bytes[..index].iter().any(is_like);
                *set.get_mut(index).filter(|_| is_free)? = u8x16::splat(*byte);
            }
            Some(Self(set))
        }
    }

    impl Part {
        #[inline]
        pub(crate) fn load(bytes: &[u8; PART]) -> Self {
            Self(u8x16::new(*bytes))
        }

        /// Flags the lanes that are this byte.
        #[inline]
        pub(crate) fn equal(self, byte: Splat) -> Self {
            Self(self.0.simd_eq(byte.0))
        }

        /// Flags the lanes that are one of these bytes.
        #[inline]
        pub(super) fn any_of(self, set: Set) -> Self {
            let [first, others @ ..] = set.0;
            let found = self.0.simd_eq(first);
            Self(others.iter().fold(found, |found, byte| found | self.0.simd_eq(*byte)))
        }

        /// Flags what is no digit.
        #[inline]
        pub(crate) fn no_digits(self) -> Self {
            let values = self.0 - u8x16::splat(b'0');
            Self(values.max(u8x16::splat(10)).simd_eq(values))
        }

        /// Flags control characters, newlines among them, and what is no ASCII.
        #[inline]
        pub(crate) fn is_unusual(self) -> Self {
            let above = self.0 - u8x16::splat(b' ');
            Self(above.max(u8x16::splat(0x80 - b' ')).simd_eq(above))
        }

        /// With these bits set in each lane.
        #[inline]
        pub(super) fn with(self, bits: Splat) -> Self {
            Self(self.0 | bits.0)
        }

        #[inline]
        pub(crate) fn or(self, other: Self) -> Self {
            Self(self.0 | other.0)
        }

        /// The bits that are not as in `other`.
        #[inline]
        pub(super) fn differs(self, other: Self) -> Self {
            Self(self.0 ^ other.0)
        }

        /// The lesser byte of each lane, as signed numbers.
        #[inline]
        pub(super) fn least(self, other: Self) -> Self {
            // Not every processor has this for signed ones.
            let sign = u8x16::splat(0x80);
            Self((self.0 ^ sign).min(other.0 ^ sign) ^ sign)
        }

        /// Whether any bit is set.
        #[inline]
        pub(super) fn is_any(self) -> bool {
            self.0.simd_eq(u8x16::splat(0)).to_bitmask() != u32::from(u16::MAX)
        }

        /// The highest bit of each lane: the first lane is the lowest bit.
        #[inline]
        pub(crate) fn bits(self) -> u16 {
            self.0.to_bitmask() as u16
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_found_in_every_lane() {
        for byte in 0..=u8::MAX {
            for lane in 0..LANES {
                let mut bytes = [byte.wrapping_add(1); LANES];
                bytes[lane] = byte;
                assert_eq!(equal(&bytes, &[byte.wrapping_add(2), byte]), 1 << lane);
            }
        }
    }

    #[test]
    fn a_set_finds_its_bytes_and_no_others() {
        let wanted = b"-/\"`#\\";
        let set = Set::new(wanted).unwrap();
        for byte in 0..=u8::MAX {
            let found = Lanes::load(&[byte; LANES]).any_of(set).bits();
            assert_eq!(found != 0, wanted.contains(&byte), "{byte}");
        }
        assert!(Set::new(b";[").is_none());
        assert!(Set::new(b"0123456").is_none());
        assert!(Set::new(b"\x01\x11").is_none());
    }

    #[test]
    fn texts_are_alike_up_to_a_byte_if_no_difference_comes_before_it() {
        let none = [b'a'; LANES];
        assert_eq!(are_alike_to(b'(', &none, &none), None);
        for at in 0..LANES {
            let mut text = none;
            text[at] = b'(';
            assert_eq!(are_alike_to(b'(', &text, &text), Some(true), "{at}");
            assert_eq!(are_alike_to(b'(', &text, &none), Some(false), "{at}");
            assert_eq!(are_alike_to(b'(', &none, &text), Some(false), "{at}");
            for differs in 0..LANES {
                let mut other = text;
                other[differs] ^= 1;
                assert_eq!(are_alike_to(b'(', &text, &other), Some(differs > at), "{at} {differs}");
            }
        }
    }

    #[test]
    fn as_many_bytes_are_compared_as_were_asked_for() {
        for length in PART..=LANES {
            for lane in 0..LANES {
                let text = [b'a'; LANES];
                let mut other = text;
                other[lane] ^= 0x80 >> (lane % 8);
                let same = begin_alike(&text, &other, length);
                assert_eq!(same, lane >= length, "{lane} of {length}");
            }
        }
    }

    #[test]
    fn a_byte_that_is_nul_or_no_ascii_is_seen_wherever_it_stands() {
        for length in [0, 1, LANES, 3 * LANES + 5, 40 * LANES] {
            let mut text = vec![1; length];
            let seen = |text: &[u8]| {
                let (blocks, _) = text.as_chunks();
                let seen =
                    blocks.iter().fold(Seen::new(), |seen, block| seen.with(Lanes::load(block)));
                (seen.is_ascii(), seen.may_have_nul())
            };
            assert!(is_ascii(&text));
            for at in (0..length).step_by(7) {
                let is_in_block = at < length / LANES * LANES;
                for (byte, ascii) in [(0x7f, true), (0, true), (0x80, false), (0xff, false)] {
                    text[at] = byte;
                    assert_eq!(is_ascii(&text), ascii, "{byte} at {at} of {length}");
                    let may_be_nul = (byte == 0 || !ascii) && is_in_block;
                    let expected = (ascii || !is_in_block, may_be_nul);
                    assert_eq!(seen(&text), expected, "{byte} at {at} of {length}");
                }
                text[at] = 1;
            }
        }
    }

    #[test]
    fn control_characters_and_other_than_ascii_are_unusual() {
        for byte in 0..=u8::MAX {
            for lane in [0, 15, 16, LANES - 1] {
                let mut bytes = [b' '; LANES];
                bytes[lane] = byte;
                let found = Lanes::load(&bytes).is_unusual();
                assert_eq!(found, !matches!(byte, b' '..0x80), "{byte} in {lane}");
            }
        }
    }

    #[test]
    fn bits_are_the_highest_of_each_lane() {
        let mut bytes = [b'a'; LANES];
        bytes[17] = 0xc3;
        assert_eq!(Lanes::load(&bytes).bits(), 1 << 17);
        assert_eq!(Lanes::load(&bytes).with(Splat::new(0x80)).bits(), u64::MAX);
    }
}
