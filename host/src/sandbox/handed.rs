//! A batch as the batching component hands it over. Its text is most of what leaves the sandbox, and
//! wasmtime would read it three times: to see whether it is UTF-8, to copy it, and then the host to see
//! that no statement ends inside a character. Here it is copied a block at a time, and each block is
//! looked at while the processor has it at hand; in a text that is found to be ASCII nothing can end
//! inside a character.
//!
//! Of the lists, that of the joins may be as long as the batch has INSERTs; wasmtime would read each of
//! their numbers by itself.
//!
//! That takes implementations of wasmtime's traits by hand, which it allows at one's own risk and
//! may change without notice: so it is kept to two types, which leave whatever they can to wasmtime's own
//! implementations for strings and lists.

use wasmtime::{
    bail,
    component::{
        __internal::{
            CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext,
            wasmtime_environ::component::StringEncoding,
        },
        ComponentType, Lift, WasmList, WasmStr,
    },
};

use super::hook::types::{CopyPart, Join, Scope, SealReason, Stretch};
use crate::batch;

/// Bytes that are copied at a time: they and their copy fit any processor's fastest cache.
const BLOCK: usize = 8 * 1024;

/// `batch` of the contract.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Batch {
    pub(super) id: u64,
    #[component(name = "first-statement")]
    pub(super) first_statement: u64,
    pub(super) body: Body,
    pub(super) ends: Vec<u32>,
    pub(super) stretches: Vec<Stretch>,
    pub(super) rows: u32,
    pub(super) joins: Joins,
    pub(super) scope: Scope,
    #[component(name = "ends-transaction")]
    pub(super) ends_transaction: bool,
    pub(super) copy: Option<CopyPart>,
    #[component(name = "sealed-by")]
    pub(super) sealed_by: SealReason,
}

/// `body` of the contract.
#[derive(Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Body {
    #[component(name = "text")]
    Text(Text),
    #[component(name = "bytes")]
    Bytes(Vec<u8>),
}

/// A text, which was checked while it was copied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// UTF-8.
    pub(super) bytes: Vec<u8>,
    pub(super) is_ascii: bool,
}

impl Text {
    /// A copy of what must be UTF-8.
    fn copied(text: &[u8]) -> wasmtime::Result<Self> {
        let mut bytes = Vec::with_capacity(text.len());
        for block in text.chunks(BLOCK).take_while(|block| block.is_ascii()) {
            bytes.extend_from_slice(block);
        }
        // All before the rest is ASCII, so the rest begins with a character.
        let rest = &text[bytes.len()..];
        if simdutf8::basic::from_utf8(rest).is_err() {
            str::from_utf8(text)?;
        }
        bytes.extend_from_slice(rest);
        Ok(Self { bytes, is_ascii: rest.is_empty() })
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { is_ascii: text.is_ascii(), bytes: text.into_bytes() }
    }
}

// SAFETY: a text is told, laid out and passed as wasmtime's own strings are.
unsafe impl ComponentType for Text {
    type Lower = <WasmStr as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = <WasmStr as ComponentType>::ABI;

    fn typecheck(found: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        WasmStr::typecheck(found, types)
    }
}

// SAFETY: nothing is read but what lies within the component's memory, which is a slice here.
unsafe impl Lift for Text {
    /// How a short list of arguments comes: without memory that it would stand in.
    fn linear_lift_from_flat(
        context: &mut LiftContext<'_>,
        found: InterfaceType,
        arguments: &Self::Lower,
    ) -> wasmtime::Result<Self> {
        String::linear_lift_from_flat(context, found, arguments).map(Self::from)
    }

    fn linear_lift_from_memory(
        context: &mut LiftContext<'_>,
        found: InterfaceType,
        place: &[u8],
    ) -> wasmtime::Result<Self> {
        let (start, length) = pair(place)?;
        if context.options().string_encoding != StringEncoding::Utf8 {
            return String::linear_lift_from_memory(context, found, place).map(Self::from);
        }
        // Sees that it lies within the memory, and counts its bytes among those that may leave it.
        WasmStr::linear_lift_from_memory(context, found, place)?;
        Self::copied(&context.memory()[start..][..length])
    }
}

/// `joins` of the contract.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Joins(pub(super) Vec<batch::Join>);

impl Joins {
    /// Bytes that each of them has in the component's memory: four numbers of 32 bits, which have the
    /// order of the contract there.
    const BYTES: usize = 16;

    fn copied(list: &[u8]) -> Self {
        let (joins, _) = list.as_chunks::<{ Self::BYTES }>();
        let read = |join: &[u8; Self::BYTES]| {
            let (numbers, _) = join.as_chunks();
            let [first, statements, prefix, tail] =
                [0, 1, 2, 3].map(|index: usize| u32::from_le_bytes(numbers[index]));
            batch::Join { first, statements, prefix, tail }
        };
        Self(joins.iter().map(read).collect())
    }
}

// SAFETY: they are told, laid out and passed as wasmtime's own lists are.
unsafe impl ComponentType for Joins {
    type Lower = <WasmList<Join> as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = <WasmList<Join> as ComponentType>::ABI;

    fn typecheck(found: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        WasmList::<Join>::typecheck(found, types)
    }
}

// SAFETY: nothing is read but what lies within the component's memory, which is a slice here.
unsafe impl Lift for Joins {
    /// How a short list of arguments comes.
    fn linear_lift_from_flat(
        context: &mut LiftContext<'_>,
        found: InterfaceType,
        arguments: &Self::Lower,
    ) -> wasmtime::Result<Self> {
        let joins = Vec::<Join>::linear_lift_from_flat(context, found, arguments)?;
        Ok(Self(joins.into_iter().map(batch::Join::from).collect()))
    }

    fn linear_lift_from_memory(
        context: &mut LiftContext<'_>,
        found: InterfaceType,
        place: &[u8],
    ) -> wasmtime::Result<Self> {
        const { assert!(<Join as ComponentType>::SIZE32 == Joins::BYTES) };
        let (start, length) = pair(place)?;
        // Sees that it lies within the memory, and counts its bytes among those that may leave it.
        WasmList::<Join>::linear_lift_from_memory(context, found, place)?;
        Ok(Self::copied(&context.memory()[start..][..length * Self::BYTES]))
    }
}

/// Where a text or a list begins in the component's memory, and how long it is.
fn pair(place: &[u8]) -> wasmtime::Result<(usize, usize)> {
    let (&[start, length], []) = place.as_chunks() else {
        bail!("a list that is told in {} bytes", place.len());
    };
    let [start, length] = [start, length].map(|number| u32::from_le_bytes(number) as usize);
    Ok((start, length))
}

#[cfg(test)]
mod tests {
    use wasmtime::{
        Engine, Store,
        component::{Component, Linker},
    };

    use super::*;

    /// Where the component's memory has the text, and how long that memory is.
    const START: usize = 64;
    const MEMORY: usize = 65_536;

    /// A component that hands over a text of this encoding, or something else, twice: as one of a list,
    /// which stands in memory, and as an argument.
    fn component(
        what: &str,
        bytes: &[u8],
        (start, length): (usize, u32),
        encoding: &str,
    ) -> Vec<u8> {
        let escaped =
            |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
        let place = [start as u32, length].map(u32::to_le_bytes).concat();
        let text = format!(
            r#"(component
                (type $record (record
                    (field "first" u32) (field "statements" u32)
                    (field "prefix" u32) (field "tail" u32)))
                (import "join" (type $join (eq $record)))
                (import "in-a-list" (func $in-a-list (param "several" (list {what}))))
                (import "alone" (func $alone (param "one" {what})))
                (core module $memory
                    (memory (export "memory") 1)
                    (data (i32.const 0) "{}") (data (i32.const {start}) "{}"))
                (core instance $memory (instantiate $memory))
                (alias core export $memory "memory" (core memory $text))
                (core func $in-a-list
                    (canon lower (func $in-a-list) (memory $text) {encoding}))
                (core func $alone
                    (canon lower (func $alone) (memory $text) {encoding}))
                (core module $main
                    (import "" "in-a-list" (func $in-a-list (param i32 i32)))
                    (import "" "alone" (func $alone (param i32 i32)))
                    (func (export "run")
                        (call $in-a-list (i32.const 0) (i32.const 1))
                        (call $alone (i32.const {start}) (i32.const {}))))
                (core instance $main (instantiate $main
                    (with "" (instance
                        (export "in-a-list" (func $in-a-list)) (export "alone" (func $alone))))))
                (func (export "run") (canon lift (core func $main "run"))))"#,
            escaped(&place),
            escaped(bytes),
            length.cast_signed(),
        );
        wat::parse_str(text).unwrap()
    }

    /// What the host is given, of which each call may hand over so many bytes.
    fn handed<T>(component: &[u8], most: usize) -> wasmtime::Result<[T; 2]>
    where
        T: Lift + std::fmt::Debug + Send + 'static,
    {
        let engine = Engine::default();
        let mut linker = Linker::<Vec<T>>::new(&engine);
        linker.root().func_wrap("in-a-list", |mut store, (several,): (Vec<T>,)| {
            store.data_mut().extend(several);
            Ok(())
        })?;
        linker.root().func_wrap("alone", |mut store, (one,): (T,)| {
            store.data_mut().push(one);
            Ok(())
        })?;
        let mut store = Store::new(&engine, Vec::new());
        store.set_hostcall_fuel(most);
        let instance = linker.instantiate(&mut store, &Component::new(&engine, component)?)?;
        instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
        Ok(store.into_data().try_into().unwrap())
    }

    fn text_component(text: &[u8], length: u32, encoding: &str) -> Vec<u8> {
        component("string", text, (START, length), encoding)
    }

    fn utf8(text: &[u8]) -> Result<[Text; 2], String> {
        let component = text_component(text, text.len() as u32, "string-encoding=utf8");
        handed(&component, MEMORY).map_err(|error| error.root_cause().to_string())
    }

    fn texts(bytes: &[u8], is_ascii: bool) -> [Text; 2] {
        [(); 2].map(|()| Text { bytes: bytes.to_vec(), is_ascii })
    }

    #[test]
    fn a_text_comes_as_it_is_and_says_whether_it_is_ascii() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1] {
            let mut bytes = vec![b'a'; length];
            assert_eq!(utf8(&bytes).unwrap(), texts(&bytes, true));
            for at in [0, BLOCK - 2, BLOCK - 1, BLOCK, 2 * BLOCK - 1] {
                bytes.fill(b'a');
                let Some(character) = bytes.get_mut(at..at + 2) else { continue };
                character.copy_from_slice("é".as_bytes());
                assert_eq!(utf8(&bytes).unwrap(), texts(&bytes, false));
            }
        }
    }

    #[test]
    fn what_is_not_utf8_is_refused_wherever_it_stands() {
        for at in [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK] {
            for wrong in [b"\xff".as_slice(), b"\xa9", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"] {
                let error = utf8(&[&vec![b'a'; at], wrong, b"a"].concat()).unwrap_err();
                assert_eq!(error, format!("invalid utf-8 sequence of 1 bytes from index {at}"));
            }
        }
        let error = utf8(b"ab\xc3").unwrap_err();
        assert_eq!(error, "incomplete utf-8 byte sequence from index 2");
    }

    #[test]
    fn a_text_may_reach_to_the_end_of_the_memory_and_no_further() {
        let room = (MEMORY - START) as u32;
        for (encoding, unit) in [("utf8", 1), ("utf16", 2)] {
            let handed = |length| {
                let encoding = format!("string-encoding={encoding}");
                handed::<Text>(&text_component(b"", length, &encoding), 2 * MEMORY)
            };
            assert_eq!(handed(room / unit).unwrap(), texts(&vec![0; (room / unit) as usize], true));
            for beyond in [room / unit + 1, u32::MAX / 2, u32::MAX] {
                let error = handed(beyond).unwrap_err().root_cause().to_string();
                assert!(error.contains("out of bounds of memory"), "{beyond}: {error}");
            }
        }
    }

    #[test]
    fn a_text_counts_as_what_leaves_the_sandbox() {
        let component = text_component(b"", 1000, "string-encoding=utf8");
        let handed = |more| handed::<Text>(&component, more + size_of::<Text>());
        handed(1000).unwrap();
        let error = handed(999).unwrap_err().root_cause().to_string();
        assert!(error.contains("too much data"), "{error}");
    }

    #[test]
    fn other_encodings_are_read_by_wasmtime() {
        let handed = |text, length, encoding| {
            handed::<Text>(&text_component(text, length, encoding), MEMORY)
        };
        let utf16 = "string-encoding=utf16";
        assert_eq!(handed(b"a\0b\0", 2, utf16).unwrap(), texts(b"ab", true));
        assert_eq!(handed(b"\xe9\0", 1, utf16).unwrap(), texts("é".as_bytes(), false));
        let latin1 = "string-encoding=latin1+utf16";
        assert_eq!(handed(b"\xe9", 1, latin1).unwrap(), texts("é".as_bytes(), false));
        handed(b"\0\xd8", 1, utf16).unwrap_err();
    }

    fn joins(bytes: &[u8], place: (usize, u32), most: usize) -> Result<[Joins; 2], String> {
        let component = component("(list $join)", bytes, place, "");
        handed(&component, most).map_err(|error| error.root_cause().to_string())
    }

    #[test]
    fn joins_come_as_they_are() {
        let numbers = [7, 2, 21, 3, u32::MAX, 1, 0, 0x0102_0304].map(u32::to_le_bytes).concat();
        let join =
            |first, statements, prefix, tail| batch::Join { first, statements, prefix, tail };
        let all = [join(7, 2, 21, 3), join(u32::MAX, 1, 0, 0x0102_0304)];
        for count in 0..=2 {
            let expected = || Joins(all[..count].to_vec());
            let found = joins(&numbers, (START, count as u32), MEMORY);
            assert_eq!(found.unwrap(), [expected(), expected()], "{count}");
        }
    }

    #[test]
    fn joins_stand_within_the_memory_and_in_their_places() {
        let room = ((MEMORY - START) / Joins::BYTES) as u32;
        assert_eq!(joins(b"", (START, room), MEMORY * 2).unwrap()[0].0.len(), room as usize);
        for beyond in [room + 1, u32::MAX / 16, u32::MAX] {
            let error = joins(b"", (START, beyond), MEMORY * 2).unwrap_err();
            assert!(error.contains("out of bounds of memory"), "{beyond}: {error}");
        }
        let error = joins(b"", (START + 2, 1), MEMORY).unwrap_err();
        assert!(error.contains("not aligned"), "{error}");
        let error = joins(b"", (START, room), MEMORY / 2).unwrap_err();
        assert!(error.contains("too much data"), "{error}");
    }
}
