//! Reads TOML so that every fault is found in one go, each with its line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Place};
use super::values::shown;

/// The faults of one file, while it is read.
pub(super) struct Reader {
    file: PathBuf,
    /// Where each line begins.
    lines: Vec<usize>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
}

/// One table of the file. Remembers what it was asked for, so that what is left
/// over at the end is unknown.
pub(super) struct Section<'a> {
    /// `payment`, or empty for the file itself.
    name: &'a str,
    line: usize,
    table: Option<&'a DeTable<'a>>,
    known: BTreeSet<&'static str>,
}

/// A value and where it stands.
pub(super) struct Item<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl Reader {
    pub(super) fn new(file: &Path, text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Self {
            file: file.to_owned(),
            lines: std::iter::once(0).chain(breaks).collect(),
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).max(1)
    }

    /// What the file cannot even be read for.
    pub(super) fn syntax(&mut self, text: &str, error: &toml::de::Error) {
        // The end of the file belongs to its last line.
        let last = text.trim_end().len().saturating_sub(1);
        let line = self.line(error.span().map_or(0, |span| span.start).min(last));
        let key = text.lines().nth(line - 1).and_then(|l| l.split_once('=')).map(|(key, _)| key);
        let bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let key = key.map(str::trim).filter(|key| key.bytes().all(bare)).unwrap_or_default();
        let said = format!("{}; write it as TOML: key = \"value\"", error.message());
        self.faults.push(Fault::new(&self.file, line, key, &said));
    }

    pub(super) fn root<'a>(&self, table: &'a DeTable<'a>) -> Section<'a> {
        Section { name: "", line: 1, table: Some(table), known: BTreeSet::new() }
    }

    /// A table of the file; when it is missing, an empty one.
    pub(super) fn section<'a>(
        &mut self,
        root: &mut Section<'a>,
        name: &'static str,
    ) -> Section<'a> {
        self.part(root, name, name)
    }

    /// A table in a table, and its whole name.
    pub(super) fn part<'a>(
        &mut self,
        whole: &mut Section<'a>,
        key: &'static str,
        name: &'static str,
    ) -> Section<'a> {
        let (line, table) = match self.find(whole, key) {
            Some((place, DeValue::Table(table))) => (place.line, Some(table)),
            Some((place, _)) => {
                self.faults.push(place.fault(&format!("must be a table; write [{name}]")));
                (place.line, None)
            }
            None => (whole.line, None),
        };
        Section { name, line, table, known: BTreeSet::new() }
    }

    /// The tables of an array of tables.
    pub(super) fn sections<'a>(
        &mut self,
        root: &mut Section<'a>,
        name: &'static str,
    ) -> Vec<Section<'a>> {
        let mut all = Vec::new();
        match self.find(root, name) {
            Some((place, DeValue::Array(array))) => {
                for entry in array.iter() {
                    let line = self.line(entry.span().start);
                    if let DeValue::Table(table) = entry.get_ref() {
                        let table = Some(table);
                        all.push(Section { name, line, table, known: BTreeSet::new() });
                    } else {
                        self.faults.push(place.fault(&format!("must be tables; write [[{name}]]")));
                    }
                }
            }
            Some((place, _)) => {
                let text = format!("there may be several, so write [[{name}]] in two brackets");
                self.faults.push(place.fault(&text));
            }
            None => {}
        }
        all
    }

    /// The faults of whatever nobody asked for.
    pub(super) fn finish(&mut self, section: &Section<'_>) {
        let Some(table) = section.table else { return };
        for key in table.keys() {
            if section.known.contains(key.get_ref().as_ref()) {
                continue;
            }
            let known: Vec<&str> = section.known.iter().copied().collect();
            let known = known.join(", ");
            let text = if section.name.is_empty() {
                format!("is no section; write one of: {known}")
            } else {
                format!("is no key of [{}]; write one of: {known}", section.name)
            };
            let place = self.place(section, &shown(key.get_ref()), key.span().start);
            self.faults.push(place.fault(&text));
        }
    }

    fn place(&self, section: &Section<'_>, key: &str, offset: usize) -> Place {
        Place { file: self.file.clone(), line: self.line(offset), key: section.full(key) }
    }

    /// Where a key stands, if it is there.
    pub(super) fn place_of(&self, section: &mut Section<'_>, key: &'static str) -> Option<Place> {
        self.find(section, key).map(|(place, _)| place)
    }

    fn find<'a>(
        &self,
        section: &mut Section<'a>,
        key: &'static str,
    ) -> Option<(Place, &'a DeValue<'a>)> {
        section.known.insert(key);
        let (name, value) = section.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((self.place(section, key, name.span().start), Spanned::get_ref(value)))
    }

    /// A text, read by `read`, which says what is wrong and what to write.
    pub(super) fn text<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Item<T>> {
        let (place, value) = self.find(section, key)?;
        let read = if let DeValue::String(text) = value {
            read(text)
        } else {
            let is = type_name(value);
            Err(format!("must be a text and is {is}; write {key} = \"{example}\""))
        };
        self.keep(place, read)
    }

    /// A text that must be there.
    pub(super) fn required<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Item<T>> {
        if !section.has(key) {
            section.known.insert(key);
            let text = format!("is missing; write {key} = \"{example}\"");
            let fault = section.place(&self.file, key).fault(&text);
            self.faults.push(fault);
            return None;
        }
        self.text(section, key, example, read)
    }

    /// A list of texts; when it is missing, an empty one. All that are wrong are
    /// named.
    pub(super) fn texts<T>(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        example: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let Some((place, value)) = self.find(section, key) else { return Vec::new() };
        let advice = format!("write {key} = [\"{example}\"]");
        let DeValue::Array(array) = value else {
            let text = format!("must be a list of texts and is {}; {advice}", type_name(value));
            self.faults.push(place.fault(&text));
            return Vec::new();
        };
        let mut all = Vec::new();
        for entry in array.iter() {
            let place = Place { line: self.line(entry.span().start), ..place.clone() };
            let read = if let DeValue::String(text) = entry.get_ref() {
                read(text)
            } else {
                let is = type_name(entry.get_ref());
                Err(format!("must hold texts and holds {is}; {advice}"))
            };
            all.extend(self.keep(place, read).map(|item| item.value));
        }
        all
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        example: u32,
        allowed: impl FnOnce(u32) -> bool,
        bounds: &str,
    ) -> Option<Item<u32>> {
        let (place, value) = self.find(section, key)?;
        let read = if let DeValue::Integer(digits) = value {
            u32::from_str_radix(digits.as_str(), digits.radix())
                .ok()
                .filter(|number| allowed(*number))
                .ok_or_else(|| format!("{digits} is impossible; write {bounds}"))
        } else {
            let is = type_name(value);
            Err(format!("must be a whole number and is {is}; write {key} = {example}"))
        };
        self.keep(place, read)
    }

    /// `true` or `false`.
    pub(super) fn truth(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        example: bool,
    ) -> Option<Item<bool>> {
        let (place, value) = self.find(section, key)?;
        let read = if let DeValue::Boolean(truth) = value {
            Ok(*truth)
        } else {
            let is = type_name(value);
            Err(format!("must be true or false and is {is}; write {key} = {example}"))
        };
        self.keep(place, read)
    }

    fn keep<T>(&mut self, place: Place, read: Result<T, String>) -> Option<Item<T>> {
        match read {
            Ok(value) => Some(Item { value, place }),
            Err(text) => {
                self.faults.push(place.fault(&text));
                None
            }
        }
    }
}

impl Section<'_> {
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.keys().any(|name| name.get_ref() == key))
    }

    /// Where a key of this section would stand, for one that is missing.
    pub(super) fn place(&self, file: &Path, key: &str) -> Place {
        Place { file: file.to_owned(), line: self.line, key: self.full(key) }
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
