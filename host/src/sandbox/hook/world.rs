//! Whether a component is a hook: looked at before anything of it is compiled. First its imports,
//! one by one, so that what it asks for can be named; then the whole against the world, with
//! `wit-component`.

use std::sync::OnceLock;

use wasmparser::{Chunk, Encoding, Parser, Payload};
use wit_component::targets;
use wit_parser::{Resolve, WorldId};

/// The one import that a hook has, as it is made of types alone.
const TYPES: &str = "sql-batcher:core/types@0.1.0";
const WORLD: &str = "hook";
const CONTRACT: &str = include_str!("../../../../wit/sql-batcher.wit");
/// Foreign imports that are named in a message.
const NAMED: usize = 3;
/// The most bytes of a name that are shown.
const SHOWN_BYTES: usize = 100;

/// Checks the bytes of a component. What is wrong is a text for people.
pub(super) fn check(component: &[u8]) -> Result<(), String> {
    let foreign = foreign_imports(component)?;
    if !foreign.is_empty() {
        return Err(refusal(&foreign));
    }
    let (resolve, world) = hook_world()?;
    targets(resolve, *world, component).map_err(|error| {
        let first = error.root_cause().to_string();
        let first = first.lines().next().unwrap_or_default();
        format!("the hook does not fit the world {WORLD} of sql-batcher:core@0.1.0: {first}")
    })
}

/// The world that hooks are made for.
fn hook_world() -> Result<&'static (Resolve, WorldId), String> {
    static PARSED: OnceLock<Result<(Resolve, WorldId), String>> = OnceLock::new();
    PARSED.get_or_init(parse).as_ref().map_err(Clone::clone)
}

fn parse() -> Result<(Resolve, WorldId), String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("sql-batcher.wit", CONTRACT);
    let package = package.map_err(|error| error.to_string())?;
    let world = resolve.select_world(&[package], Some(WORLD));
    Ok((resolve, world.map_err(|error| error.to_string())?))
}

/// The imports of the outermost component that no hook has.
fn foreign_imports(component: &[u8]) -> Result<Vec<&str>, String> {
    let no_component = |what: &str| {
        // Behind it the parser lists the bytes that it wanted and those that it found.
        let (what, _) = what.split_once(" - expected").unwrap_or((what, ""));
        format!("the hook is not a WebAssembly component: {what}")
    };
    let mut foreign = Vec::new();
    let (mut parser, mut rest, mut depth) = (Parser::new(0), component, Vec::new());
    loop {
        let parsed = parser.parse(rest, true).map_err(|error| no_component(error.message()))?;
        let Chunk::Parsed { consumed, payload } = parsed else {
            return Err(no_component("it is cut off"));
        };
        rest = rest.get(consumed..).unwrap_or_default();
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if depth.is_empty() => {
                return Err(no_component("it is a core module"));
            }
            Payload::ModuleSection { parser: inner, .. }
            | Payload::ComponentSection { parser: inner, .. } => {
                depth.push(std::mem::replace(&mut parser, inner));
            }
            Payload::ComponentImportSection(imports) if depth.is_empty() => {
                for import in imports {
                    let import = import.map_err(|error| no_component(error.message()))?;
                    let name = import.name.name;
                    if name != TYPES {
                        foreign.push(name);
                    }
                }
            }
            Payload::End(_) => match depth.pop() {
                Some(outer) => parser = outer,
                None => return Ok(foreign),
            },
            _ => {}
        }
    }
}

fn refusal(foreign: &[&str]) -> String {
    let named: Vec<String> = foreign.iter().take(NAMED).map(|name| shown(name)).collect();
    let others = match foreign.len().saturating_sub(NAMED) {
        0 => String::new(),
        others => format!(" and {others} others"),
    };
    format!("the hook asks for {}{others}; a hook is given nothing", named.join(", "))
}

fn shown(name: &str) -> String {
    let end = name.floor_char_boundary(SHOWN_BYTES);
    name.get(..end).unwrap_or_default().escape_debug().to_string()
}
