//! Reading a spanned TOML tree without stopping at a mistake.
//!
//! [`section!`] makes a flat struct of optional fields from a list of keys; what a key holds is a type that is a
//! [`Value`]. A value that can't be read is noted and its field left empty, but the section remembers that the key was
//! there, so that nobody complains about its absence as well.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Mistakes};
use super::preset::Preset;
use super::show::Writer;

/// A range of bytes in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// From the begin of this one to the end of a later one.
    pub fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// Where a value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It stands in the file, below this top-level key.
    File {
        span: Span,
        section: &'static str,
    },
    /// The preset named at `span` brings it.
    Preset {
        preset: Preset,
        span: Span,
    },
    BuiltIn,
}

impl Origin {
    /// Where to point in the file, if anywhere.
    pub fn span(self) -> Option<Span> {
        match self {
            Self::File { span, .. } | Self::Preset { span, .. } => Some(span),
            Self::BuiltIn => None,
        }
    }
}

/// A value and where it is from.
#[derive(Debug, Clone)]
pub struct Stated<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Stated<T> {
    /// One that nobody stated.
    pub fn built_in(value: T) -> Option<Self> {
        Some(Self { value, origin: Origin::BuiltIn })
    }

    /// Where to point in the file, if anywhere.
    pub fn span(&self) -> Option<Span> {
        self.origin.span()
    }
}

/// What may stand behind a key.
pub trait Value: Sized + Clone {
    /// What is wanted, to complete "it must be …".
    fn wanted() -> Cow<'static, str>;

    /// Reads it, or notes what is wrong with it.
    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// Takes over what is left open here from the same key further away. Most values leave nothing open.
    fn fill_from(&mut self, _further: &Self) {}

    /// The value in TOML on one line; `None` for what only tables can say.
    fn literal(&self) -> Option<String>;

    /// Writes it below `key` as [`super::show`] prints it.
    fn write(&self, key: &str, origin: Origin, out: &mut Writer<'_>) {
        if let Some(literal) = self.literal() {
            out.value(key, &literal, origin);
        }
    }
}

/// A value in the tree and the key it stands behind.
pub struct Found<'a> {
    pub key: &'a str,
    pub value: &'a DeValue<'a>,
    pub span: Span,
    /// Whether `"off"` is a value, too.
    pub or_off: bool,
}

/// Notes mistakes and knows under which top-level key it reads.
pub struct Reader<'m> {
    pub mistakes: &'m mut Mistakes,
    section: &'static str,
    /// Tables that are being read, one inside the other.
    pub depth: usize,
}

impl<'m> Reader<'m> {
    /// Begins at the file's top.
    pub fn new(mistakes: &'m mut Mistakes) -> Self {
        Self { mistakes, section: "", depth: 0 }
    }

    /// The value behind a section's own key.
    pub fn key<T: Value>(&mut self, key: &'static str, value: &Spanned<DeValue<'_>>) -> Option<Stated<T>> {
        if self.depth == 1 {
            self.section = key;
        }
        self.field(key, value)
    }

    /// The value behind a key, or `None` and a mistake.
    pub fn field<T: Value>(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Stated<T>> {
        let found = Found { key, value: value.get_ref(), span: value.span().into(), or_off: false };
        let value = T::read(&found, self)?;
        Some(self.stated(value, found.span))
    }

    /// A value of the section that is being read.
    pub fn stated<T>(&self, value: T, span: Span) -> Stated<T> {
        Stated { value, origin: Origin::File { span, section: self.section } }
    }

    /// Notes what is wrong with a value.
    pub fn refuse<T>(&mut self, found: &Found<'_>, mistake: Mistake) -> Option<T> {
        self.mistakes.push(Some(found.span), mistake);
        None
    }

    /// Notes that something of another type is wanted.
    pub fn wrong_type<T: Value>(&mut self, found: &Found<'_>, hint: Option<String>) -> Option<T> {
        let mistake = Mistake::WrongType {
            key: found.key.to_owned(),
            wanted: T::wanted().into_owned(),
            found: type_name(found.value),
            hint,
        };
        self.refuse(found, mistake)
    }
}

/// A TOML type with its article.
pub fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A table's keys as they follow one another in the file; the tree has them sorted by name.
pub fn in_file_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(&'a str, Span, &'a Spanned<DeValue<'i>>)> {
    let mut fields: Vec<_> =
        table.iter().map(|(key, value)| (key.get_ref().as_ref(), Span::from(key.span()), value)).collect();
    fields.sort_by_key(|(_, span, _)| *span);
    fields
}

/// Fills an empty field from the same one further away; what both state is filled field by field if it has fields.
pub fn fill<T: Value>(near: &mut Option<Stated<T>>, far: &Option<Stated<T>>) {
    match (near, far) {
        (near @ None, far) => near.clone_from(far),
        (Some(near), Some(far)) => near.value.fill_from(&far.value),
        (Some(_), None) => {}
    }
}

/// `outer.inner`, or `inner` at the top.
pub fn dotted(outer: &str, inner: &str) -> String {
    if outer.is_empty() { inner.to_owned() } else { format!("{outer}.{inner}") }
}

/// Declares a section of the file: its place in words, and its keys with the types of what they hold.
///
/// `via` names a function that is shown the section and the one it is to be filled from, and may change both first.
macro_rules! section {
    (
        $(#[$doc:meta])*
        $name:ident, $place:literal $(, via $adapt:path)?;
        $($(#[$field_doc:meta])* $key:literal => $field:ident: $type:ty,)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub struct $name {
            /// Its header or braces; for what the file doesn't have, those of what stands for it.
            pub at: $crate::config::read::Span,
            /// The keys that the file states here, those with a mistake included.
            pub stated: Vec<&'static str>,
            /// The keys whose nearest value can't be read: what fills them instead is not what was meant.
            pub refused: Vec<&'static str>,
            $($(#[$field_doc])* pub $field: Option<$crate::config::read::Stated<$type>>,)*
        }

        impl $name {
            pub const KEYS: &'static [&'static str] = &[$($key),*];

            /// Takes over every field that is open here.
            pub fn fill(&mut self, further: &Self) {
                $(let mut further = further.clone(); $adapt(self, &mut further); let further = &further;)?
                if self.at == $crate::config::read::Span::default() {
                    self.at = further.at;
                }
                self.stated.extend(&further.stated);
                $(
                    if self.$field.is_none() && further.refused.contains(&$key) {
                        self.refused.push($key);
                    }
                    $crate::config::read::fill(&mut self.$field, &further.$field);
                )*
            }

            /// Reads the table's keys.
            pub fn read_table(
                table: &toml::de::DeTable<'_>,
                at: $crate::config::read::Span,
                reader: &mut $crate::config::read::Reader<'_>,
            ) -> Self {
                let mut section = Self { at, ..Self::default() };
                reader.depth += 1;
                for (key, span, value) in $crate::config::read::in_file_order(table) {
                    match key {
                        $($key => {
                            section.stated.push($key);
                            section.$field = reader.key($key, value);
                            if section.$field.is_none() {
                                section.refused.push($key);
                            }
                        })*
                        unknown => reader.mistakes.push(
                            Some(span),
                            $crate::config::mistake::Mistake::UnknownKey {
                                key: unknown.to_owned(), place: $place, known: Self::KEYS,
                            },
                        ),
                    }
                }
                reader.depth -= 1;
                section
            }
        }

        impl $crate::config::read::Value for $name {
            fn wanted() -> std::borrow::Cow<'static, str> {
                format!("a table such as {{ {} = … }}", Self::KEYS[0]).into()
            }

            fn read(
                found: &$crate::config::read::Found<'_>,
                reader: &mut $crate::config::read::Reader<'_>,
            ) -> Option<Self> {
                match found.value {
                    toml::de::DeValue::Table(table) => Some(Self::read_table(table, found.span, reader)),
                    _ => reader.wrong_type::<Self>(found, None),
                }
            }

            fn fill_from(&mut self, further: &Self) {
                self.fill(further);
            }

            fn literal(&self) -> Option<String> {
                None
            }

            fn write(&self, key: &str, _: $crate::config::read::Origin, out: &mut $crate::config::show::Writer<'_>) {
                $(if let Some(stated) = &self.$field {
                    stated.value.write(&$crate::config::read::dotted(key, $key), stated.origin, out);
                })*
            }
        }
    };
}
pub(crate) use section;
