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

    /// The highest bit of each lane: the first lane is the lowest bit.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        let [a, b, c, d] = self.0.map(|part| u64::from(part.bits()));
        a | b << 16 | c << 32 | d << 48
    }

    /// Whether the lanes are as in `other` wherever `mask` has ones.
    #[inline]
    pub(crate) fn is_same(self, other: Self, mask: Self) -> bool {
        let [a, b, c, d] =
            [0, 1, 2, 3].map(|part: usize| self.0[part].differs(other.0[part]).and(mask.0[part]));
        !a.or(b).or(c.or(d)).is_any()
    }
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
        i8x16_bitmask, i8x16_eq, i8x16_swizzle, i64x2, u8x16_splat, v128, v128_and, v128_any_true,
        v128_or, v128_xor,
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

        /// With these bits set in each lane.
        #[inline]
        pub(super) fn with(self, bits: Splat) -> Self {
            Self(v128_or(self.0, bits.0))
        }

        #[inline]
        pub(crate) fn or(self, other: Self) -> Self {
            Self(v128_or(self.0, other.0))
        }

        #[inline]
        pub(super) fn and(self, other: Self) -> Self {
            Self(v128_and(self.0, other.0))
        }

        /// The bits that are not as in `other`.
        #[inline]
        pub(super) fn differs(self, other: Self) -> Self {
            Self(v128_xor(self.0, other.0))
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

        /// With these bits set in each lane.
        #[inline]
        pub(super) fn with(self, bits: Splat) -> Self {
            Self(self.0 | bits.0)
        }

        #[inline]
        pub(crate) fn or(self, other: Self) -> Self {
            Self(self.0 | other.0)
        }

        #[inline]
        pub(super) fn and(self, other: Self) -> Self {
            Self(self.0 & other.0)
        }

        /// The bits that are not as in `other`.
        #[inline]
        pub(super) fn differs(self, other: Self) -> Self {
            Self(self.0 ^ other.0)
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
    fn bytes_are_compared_where_a_mask_has_ones() {
        let mut mask = [0; LANES];
        mask[..40].fill(0xff);
        let (text, mask) = ([b'a'; LANES], Lanes::load(&mask));
        for lane in 0..LANES {
            let mut other = text;
            other[lane] ^= 0x80 >> (lane % 8);
            let same = Lanes::load(&text).is_same(Lanes::load(&other), mask);
            assert_eq!(same, lane >= 40, "{lane}");
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
