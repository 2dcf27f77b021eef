//! A description as a list of sections (RFC 8866, section 5).

/// What stands before all media, and the section of each medium.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Description {
    pub session: Section,
    pub media: Vec<Section>,
}

/// Lines without their ends. That of a medium begins with its `m=` line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Section {
    lines: Vec<String>,
}

impl Description {
    /// Reads any text: what makes no sense is left to whoever reads the sections.
    pub fn read(text: &str) -> Self {
        let mut description = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.starts_with("m=") {
                description.media.push(Section::default());
            }
            let section = description.media.last_mut();
            section
                .unwrap_or(&mut description.session)
                .push(normal(line));
        }
        description
    }

    pub fn write(&self) -> String {
        let mut text = String::new();
        for section in std::iter::once(&self.session).chain(&self.media) {
            for line in &section.lines {
                text += line;
                text += "\r\n";
            }
        }
        text
    }

    /// The names (`a=mid`) in the group that shares one transport (RFC 9143, section 5) of which `name` is
    /// one, in their order.
    pub fn bundle_of(&self, name: &str) -> Option<Vec<&str>> {
        let mut groups = self.session.values("group");
        groups.find_map(|group| {
            let mut words = group.split_ascii_whitespace();
            let is_bundle = words.next() == Some("BUNDLE");
            let names: Vec<_> = words.collect();
            (is_bundle && names.contains(&name)).then_some(names)
        })
    }

    /// The section of this name.
    pub fn named(&self, name: &str) -> Option<&Section> {
        self.media.iter().find(|it| it.mid() == Some(name))
    }
}

impl Section {
    pub fn push(&mut self, line: String) {
        self.lines.push(line);
    }

    /// The values of the attributes of this name.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let attributes = self.lines.iter().filter_map(|line| attribute(line));
        attributes.filter_map(move |(key, value)| value.filter(|_| key == name))
    }

    pub fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// Whether it has an attribute of this name, with a value or without.
    pub fn has(&self, name: &str) -> bool {
        let mut attributes = self.lines.iter().filter_map(|line| attribute(line));
        attributes.any(|(key, _)| key == name)
    }

    /// The lines of the attributes of these names.
    pub fn lines_of(&self, names: &[&str]) -> Vec<String> {
        let is_one = |line: &&String| attribute(line).is_some_and(|(key, _)| names.contains(&key));
        self.lines.iter().filter(is_one).cloned().collect()
    }

    /// Removes the attributes of these names.
    pub fn remove(&mut self, names: &[&str]) {
        self.lines
            .retain(|line| attribute(line).is_none_or(|(key, _)| !names.contains(&key)));
    }

    /// Sets an attribute in place of all of its name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(&[name]);
        self.push(format!("a={name}:{value}"));
    }

    /// Its name; an empty one is none.
    pub fn mid(&self) -> Option<&str> {
        self.value("mid").filter(|name| !name.is_empty())
    }

    /// A field of the `m=` line: the medium, the port, the protocol, and from then on the formats.
    pub fn field(&self, index: usize) -> &str {
        self.fields().nth(index).unwrap_or_default()
    }

    pub fn formats(&self) -> impl Iterator<Item = &str> {
        self.fields().skip(3)
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        let media = self.lines.first().and_then(|line| line.strip_prefix("m="));
        media.unwrap_or_default().split_ascii_whitespace()
    }

    /// Whether its `m=` line has all of its fields (RFC 8866, section 5.14).
    pub fn is_formed(&self) -> bool {
        let port = self.field(1).split('/').next().unwrap_or_default();
        port.parse::<u16>().is_ok() && self.formats().next().is_some()
    }

    /// Gives it a port, and formats.
    pub fn describe(&mut self, port: u16, formats: &[String]) {
        let media = format!(
            "m={} {port} {} {}",
            self.field(0),
            self.field(2),
            formats.join(" ")
        );
        if let Some(first) = self.lines.first_mut() {
            *first = media;
        }
    }

    /// Whether it is offered or taken: one without a port is neither (RFC 8866, section 5.14), but where it
    /// has the port of another section (RFC 9143, section 6).
    pub fn is_live(&self) -> bool {
        self.has_port() || self.has("bundle-only")
    }

    pub fn has_port(&self) -> bool {
        self.field(1).split('/').next() != Some("0")
    }
}

/// The line as the stack reads it: without blanks around its value.
fn normal(line: &str) -> String {
    match line.split_once('=') {
        Some((kind, value)) if kind.len() == 1 => format!("{kind}={}", value.trim_start()),
        _ => line.to_owned(),
    }
}

/// The name of an attribute, and its value, if the line is one.
fn attribute(line: &str) -> Option<(&str, Option<&str>)> {
    let attribute = line.strip_prefix("a=")?;
    Some(match attribute.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (attribute, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_in_sections_and_written_as_it_was() {
        let text = "v=0\r\na=group:LS 1\r\na=group:BUNDLE 0 1\r\nm=audio 9 X 111\r\na=mid:0\r\n\
                    a=sendrecv\r\nm=video 0/2 X 96\r\na=mid:1\r\na=bundle-only\r\n";
        let mut description = Description::read(text);
        assert_eq!(description.write(), text);
        assert_eq!(description.bundle_of("1"), Some(vec!["0", "1"]));
        assert_eq!(description.bundle_of("2"), None);
        let video = description.named("1").unwrap();
        assert!(video.is_live() && !video.has("sendrecv"));
        assert_eq!((video.field(0), video.field(1)), ("video", "0/2"));
        let audio = &mut description.media[0];
        audio.describe(7, &["1".to_owned(), "2".to_owned()]);
        audio.set("mid", "5");
        audio.remove(&["sendrecv"]);
        assert_eq!(audio.formats().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(audio.mid(), Some("5"));
        assert_eq!(audio.lines, ["m=audio 7 X 1 2", "a=mid:5"]);
    }

    #[test]
    fn blanks_and_ends_of_lines_do_not_count() {
        let description = Description::read("v=0\n\n a= mid:0 \r\nm= audio 9\r\r\na=mid:\n");
        assert_eq!(description.session.mid(), Some("0"));
        assert_eq!(description.media[0].field(0), "audio");
        assert_eq!(description.media[0].mid(), None);
        assert!(Description::read("").media.is_empty());
        for (line, is_formed) in [
            ("m=audio 9 X 0", true),
            ("m=audio 9/2 X 0 1", true),
            ("m=audio 9 X", false),
            ("m=audio x X 0", false),
            ("m=", false),
        ] {
            let description = Description::read(line);
            assert_eq!(description.media[0].is_formed(), is_formed, "{line}");
        }
    }
}
