//! One event, which cannot be other than the specification allows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::attribute;
use super::data::{Data, ExtensionValue};
use super::error::EventError;
use super::media::MediaType;

/// An event of `CloudEvents` 1.0 (`spec.md`, Context Attributes).
#[derive(Debug, Clone, PartialEq)]
pub struct CloudEvent {
    id: String,
    source: String,
    kind: String,
    subject: Option<String>,
    time: Option<Timestamp>,
    datacontenttype: Option<String>,
    dataschema: Option<String>,
    extensions: BTreeMap<String, ExtensionValue>,
    data: Option<Data>,
}

/// The attributes of an event by name, `specversion` among them, as they came in.
pub(super) type Attributes = BTreeMap<String, ExtensionValue>;

/// The media type that data has if none is named (`spec.md`, datacontenttype).
const JSON: &str = "application/json";

impl CloudEvent {
    /// An event without data. `kind` is the attribute `type`.
    ///
    /// # Errors
    /// If one of these is empty or has characters that no attribute may have, or if `source` is no URI-reference.
    pub fn new(id: &str, source: &str, kind: &str) -> Result<Self, EventError> {
        for (name, value) in [("id", id), ("source", source), ("type", kind)] {
            attribute::text(name, value)?;
        }
        Ok(Self {
            id: id.to_owned(),
            source: source.to_owned(),
            kind: kind.to_owned(),
            subject: None,
            time: None,
            datacontenttype: None,
            dataschema: None,
            extensions: BTreeMap::new(),
            data: None,
        })
    }

    /// With what it is about, within its source.
    ///
    /// # Errors
    /// If it is empty or has characters that no attribute may have.
    pub fn with_subject(mut self, subject: &str) -> Result<Self, EventError> {
        attribute::text("subject", subject)?;
        self.subject = Some(subject.to_owned());
        Ok(self)
    }

    /// With the time when it happened.
    ///
    /// # Errors
    /// If RFC 3339 cannot write it: years before 0 are out of its reach.
    pub fn with_time(mut self, time: Timestamp) -> Result<Self, EventError> {
        self.time = Some(attribute::time(&time.to_string())?);
        Ok(self)
    }

    /// With the schema of its data.
    ///
    /// # Errors
    /// If it is no absolute URI.
    pub fn with_dataschema(mut self, schema: &str) -> Result<Self, EventError> {
        attribute::text("dataschema", schema)?;
        self.dataschema = Some(schema.to_owned());
        Ok(self)
    }

    /// With an extension attribute.
    ///
    /// # Errors
    /// If the name is one of the specification's own, or if name or value have characters that they may not have.
    pub fn with_extension(mut self, name: &str, value: ExtensionValue) -> Result<Self, EventError> {
        attribute::name(name)?;
        if attribute::CORE.contains(&name) {
            return Err(EventError::attribute(name, "is not an extension"));
        }
        value.check(name)?;
        self.extensions.insert(name.to_owned(), value);
        Ok(self)
    }

    /// With a JSON value as its data.
    #[must_use]
    pub fn with_json(mut self, value: Value) -> Self {
        self.datacontenttype = Some(JSON.to_owned());
        self.data = Some(Data::Json(value));
        self
    }

    /// With data of this media type.
    ///
    /// # Errors
    /// If it is no media type, or if data of it is not held so.
    pub fn with_data(mut self, content_type: &str, data: Data) -> Result<Self, EventError> {
        let kind = media_type(content_type)?;
        data.check(&kind)?;
        self.datacontenttype = Some(content_type.to_owned());
        self.data = Some(match data {
            Data::Binary(bytes) => Data::of_bytes(Some(&kind), bytes),
            data @ (Data::Json(_) | Data::Text(_)) => data,
        });
        Ok(self)
    }

    /// The event that these make. Data without a media type is JSON, and then it is said.
    pub(super) fn of(
        mut attributes: Attributes,
        data: Option<Data>,
        limit: usize,
    ) -> Result<Self, EventError> {
        for (name, value) in &attributes {
            attribute::name(name)?;
            let characters = value.to_string().chars().count();
            if characters > limit {
                return Err(EventError::AttributeTooLong { name: name.clone(), characters, limit });
            }
            value.check(name)?;
        }
        let mut core = |name| match attributes.remove(name) {
            None => Ok(None),
            Some(ExtensionValue::Text(text)) => Ok(Some(text)),
            Some(_) => Err(EventError::attribute(name, "is no text")),
        };
        core("specversion")?.ok_or(EventError::Missing { name: "specversion" })?;
        let id = core("id")?.ok_or(EventError::Missing { name: "id" })?;
        let source = core("source")?.ok_or(EventError::Missing { name: "source" })?;
        let kind = core("type")?.ok_or(EventError::Missing { name: "type" })?;
        let (subject, dataschema) = (core("subject")?, core("dataschema")?);
        let time = core("time")?.map(|time| attribute::time(&time)).transpose()?;
        let implied = || matches!(data, Some(Data::Json(_))).then(|| JSON.to_owned());
        let datacontenttype = core("datacontenttype")?.or_else(implied);
        Ok(Self {
            id,
            source,
            kind,
            subject,
            time,
            datacontenttype,
            dataschema,
            extensions: attributes,
            data,
        })
    }

    /// What tells it from the other events of its source.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it happened.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What happened: the attribute `type`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What it is about, within its source.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// When it happened.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// The media type of its data.
    #[must_use]
    pub fn datacontenttype(&self) -> Option<&str> {
        self.datacontenttype.as_deref()
    }

    /// The schema of its data.
    #[must_use]
    pub fn dataschema(&self) -> Option<&str> {
        self.dataschema.as_deref()
    }

    /// The attributes that the specification does not know.
    #[must_use]
    pub fn extensions(&self) -> &BTreeMap<String, ExtensionValue> {
        &self.extensions
    }

    /// What it carries.
    #[must_use]
    pub fn data(&self) -> Option<&Data> {
        self.data.as_ref()
    }

    /// Its source and its id. Two events in which they are the same are one that was sent twice (`spec.md`, id).
    #[must_use]
    pub fn identity(&self) -> (&str, &str) {
        (&self.source, &self.id)
    }

    /// Its attributes, those of the specification first, as texts.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, ExtensionValue)> {
        let time = self.time.map(|time| time.to_string());
        let core = [
            ("specversion", Some("1.0".to_owned())),
            ("type", Some(self.kind.clone())),
            ("source", Some(self.source.clone())),
            ("id", Some(self.id.clone())),
            ("subject", self.subject.clone()),
            ("time", time),
            ("datacontenttype", self.datacontenttype.clone()),
            ("dataschema", self.dataschema.clone()),
        ];
        let core = core.into_iter().filter_map(|(name, value)| Some((name, ExtensionValue::Text(value?))));
        core.chain(self.extensions.iter().map(|(name, value)| (name.as_str(), value.clone())))
    }
}

/// The media type of an attribute `datacontenttype` or of a header `Content-Type`.
pub(super) fn media_type(text: &str) -> Result<MediaType, EventError> {
    MediaType::parse(text)
        .ok_or_else(|| EventError::attribute("datacontenttype", "is no media type (RFC 2046)"))
}
