//! The generated side of the contract. The only file that names wit-bindgen.
#![expect(unreachable_pub, reason = "generated")]

wit_bindgen::generate!({
    path: "../wit",
    world: "batcher",
    generate_all,
    ownership: Borrowing { duplicate_if_necessary: true },
});

export!(Component with_types_in self);

/// What exports the interface.
pub struct Component;
