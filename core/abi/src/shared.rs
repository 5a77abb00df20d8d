//! What the header is generated from: each struct declared once, as a Rust type and as a description of its C twin.

/// How C spells the type of a field.
pub(crate) struct CType {
    pub name: &'static str,
    /// `None` for a plain integer.
    pub elements: Option<usize>,
}

/// A type that a shared struct may hold.
pub(crate) trait Shared {
    const C: CType;
}

macro_rules! integers {
    ($($rust:ident = $c:literal,)*) => {
        $(impl Shared for $rust {
            const C: CType = CType { name: $c, elements: None };
        })*
    };
}

integers! {
    u8 = "__u8",
    u16 = "__u16",
    u32 = "__u32",
    u64 = "__u64",
}

impl<T: Shared, const N: usize> Shared for [T; N] {
    const C: CType = CType { name: T::C.name, elements: Some(N) };
}

pub(crate) struct Field {
    pub name: &'static str,
    pub offset: usize,
    pub c: CType,
}

pub(crate) struct Struct {
    pub name: &'static str,
    pub bytes: usize,
    pub fields: &'static [Field],
}

/// Declares `#[repr(C)]` structs and, as `STRUCTS`, their description.
macro_rules! shared_structs {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $ty:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
            #[repr(C)]
            pub struct $name { $($(#[$field_meta])* pub $field: $ty,)* }
        )*

        pub(crate) const STRUCTS: &[crate::shared::Struct] = &[$(
            crate::shared::Struct {
                name: stringify!($name),
                bytes: size_of::<$name>(),
                fields: &[$(crate::shared::Field {
                    name: stringify!($field),
                    offset: std::mem::offset_of!($name, $field),
                    c: <$ty as crate::shared::Shared>::C,
                },)*],
            },
        )*];
    };
}

/// Declares integer constants and, as `CONSTANTS`, their names and values.
macro_rules! shared_constants {
    ($($(#[$meta:meta])* pub const $name:ident: $ty:ty = $value:expr;)*) => {
        $($(#[$meta])* pub const $name: $ty = $value;)*

        pub(crate) const CONSTANTS: &[(&str, u64)] = &[$((stringify!($name), $name as u64),)*];
    };
}

pub(crate) use {shared_constants, shared_structs};
