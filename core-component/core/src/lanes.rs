//! Looks at 64 bytes at once with vector instructions: WebAssembly's own, which are safe to call, and
//! elsewhere those that the crate `wide` makes so. The same steps everywhere.

pub(crate) use self::vector::{Lanes, Set, Splat};

/// Bytes that are looked at at once.
pub(crate) const LANES: usize = 64;

/// The most bytes of a [`Set`].
const MOST_OF_SET: usize = 6;

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
        i8x16_bitmask, i8x16_eq, i8x16_swizzle, i64x2, u8x16_splat, v128, v128_and, v128_or,
    };

    use super::LANES;

    /// 64 bytes: of a text, or flags that are all ones or all zeros.
    #[derive(Clone, Copy)]
    pub(crate) struct Lanes([v128; 4]);

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
            let (halves, _) = table.as_chunks();
            let [low, high] = [0, 1].map(|half: usize| i64::from_le_bytes(halves[half]));
            (bytes.len() <= super::MOST_OF_SET).then_some(Self(i64x2(low, high)))
        }
    }

    impl Lanes {
        #[inline]
        pub(crate) fn load(bytes: &[u8; LANES]) -> Self {
            let (parts, _) = bytes.as_chunks::<16>();
            Self([0, 1, 2, 3].map(|part: usize| {
                let (halves, _) = parts[part].as_chunks();
                i64x2(i64::from_le_bytes(halves[0]), i64::from_le_bytes(halves[1]))
            }))
        }

        /// Flags the lanes that are this byte.
        #[inline]
        pub(crate) fn equal(self, byte: Splat) -> Self {
            Self(self.0.map(|part| i8x16_eq(part, byte.0)))
        }

        /// Flags the lanes that are as in `other`.
        #[inline]
        pub(crate) fn same(self, other: Self) -> Self {
            Self([0, 1, 2, 3].map(|part: usize| i8x16_eq(self.0[part], other.0[part])))
        }

        /// Flags the lanes that are one of these bytes.
        #[inline]
        pub(crate) fn any_of(self, set: Set) -> Self {
            let lower = u8x16_splat(0x0f);
            Self(self.0.map(|part| i8x16_eq(part, i8x16_swizzle(set.0, v128_and(part, lower)))))
        }

        /// With these bits set in each lane.
        #[inline]
        pub(crate) fn with(self, bits: Splat) -> Self {
            Self(self.0.map(|part| v128_or(part, bits.0)))
        }

        #[inline]
        pub(crate) fn or(self, other: Self) -> Self {
            Self([0, 1, 2, 3].map(|part: usize| v128_or(self.0[part], other.0[part])))
        }

        /// The highest bit of each lane: the first lane is the lowest bit.
        #[inline]
        pub(crate) fn bits(self) -> u64 {
            let [a, b, c, d] = self.0.map(|part| u64::from(i8x16_bitmask(part)));
            a | b << 16 | c << 32 | d << 48
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod vector {
    use wide::u8x16;

    use super::LANES;

    /// 64 bytes: of a text, or flags that are all ones or all zeros.
    #[derive(Clone, Copy)]
    pub(crate) struct Lanes([u8x16; 4]);

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

    impl Lanes {
        #[inline]
        pub(crate) fn load(bytes: &[u8; LANES]) -> Self {
            let (parts, _) = bytes.as_chunks::<16>();
            Self([0, 1, 2, 3].map(|part: usize| u8x16::new(parts[part])))
        }

        /// Flags the lanes that are this byte.
        #[inline]
        pub(crate) fn equal(self, byte: Splat) -> Self {
            Self(self.0.map(|part| part.simd_eq(byte.0)))
        }

        /// Flags the lanes that are as in `other`.
        #[inline]
        pub(crate) fn same(self, other: Self) -> Self {
            Self([0, 1, 2, 3].map(|part: usize| self.0[part].simd_eq(other.0[part])))
        }

        /// Flags the lanes that are one of these bytes.
        #[inline]
        pub(crate) fn any_of(self, set: Set) -> Self {
            let [first, others @ ..] = set.0;
            Self(self.0.map(|part| {
                let found = part.simd_eq(first);
                others.iter().fold(found, |found, byte| found | part.simd_eq(*byte))
            }))
        }

        /// With these bits set in each lane.
        #[inline]
        pub(crate) fn with(self, bits: Splat) -> Self {
            Self(self.0.map(|part| part | bits.0))
        }

        #[inline]
        pub(crate) fn or(self, other: Self) -> Self {
            Self([0, 1, 2, 3].map(|part: usize| self.0[part] | other.0[part]))
        }

        /// The highest bit of each lane: the first lane is the lowest bit.
        #[inline]
        pub(crate) fn bits(self) -> u64 {
            let [a, b, c, d] = self.0.map(|part| u64::from(part.to_bitmask()));
            a | b << 16 | c << 32 | d << 48
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
    fn bits_are_the_highest_of_each_lane() {
        let mut bytes = [b'a'; LANES];
        bytes[17] = 0xc3;
        assert_eq!(Lanes::load(&bytes).bits(), 1 << 17);
        assert_eq!(Lanes::load(&bytes).with(Splat::new(0x80)).bits(), u64::MAX);
    }
}
