//! Compares 64 bytes at once: in WebAssembly with its vector instructions, which are safe to call
//! there, elsewhere in plain loops that the compiler turns into vector instructions.

/// Bytes that are compared at once.
pub(crate) const LANES: usize = 64;

/// Which bytes are one of `wanted`, as bits: the first byte is the lowest.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) fn equal(bytes: &[u8; LANES], wanted: &[u8]) -> u64 {
    use std::arch::wasm32::{i8x16_bitmask, i8x16_eq, i64x2, u8x16_splat, u64x2_splat, v128_or};
    let (parts, _) = bytes.as_chunks::<16>();
    let parts = [0, 1, 2, 3].map(|part: usize| {
        let (halves, _) = parts[part].as_chunks();
        i64x2(i64::from_le_bytes(halves[0]), i64::from_le_bytes(halves[1]))
    });
    let mut found = [u64x2_splat(0); 4];
    for &byte in wanted {
        let byte = u8x16_splat(byte);
        for (found, part) in found.iter_mut().zip(parts) {
            *found = v128_or(*found, i8x16_eq(part, byte));
        }
    }
    found.iter().rev().fold(0, |bits, found| bits << 16 | u64::from(i8x16_bitmask(*found)))
}

/// Which bytes are one of `wanted`, as bits: the first byte is the lowest.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(crate) fn equal(bytes: &[u8; LANES], wanted: &[u8]) -> u64 {
    let mut hits = [0_u8; LANES];
    for wanted in wanted {
        for (hit, byte) in hits.iter_mut().zip(bytes) {
            *hit |= if byte == wanted { u8::MAX } else { 0 };
        }
    }
    let (words, _) = hits.as_chunks();
    words.iter().rev().fold(0, |bits, word| bits << 8 | gather(*word))
}

/// Eight bytes that are all ones or all zeros, as eight bits: the multiplication moves one bit of
/// each to its place among the highest eight.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn gather(flags: [u8; 8]) -> u64 {
    let ones = u64::from_le_bytes(flags) & 0x0101_0101_0101_0101;
    ones.wrapping_mul(0x0102_0408_1020_4080) >> 56
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
}
