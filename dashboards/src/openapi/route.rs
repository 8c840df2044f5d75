//! One route: path, verbs, who may, handler, and all that the document tells of it.
//!
//! Place in the flow: `table` makes them, [`crate::server`] serves them, `access` asks each for its
//! [`Access`], [`super::document`] describes them.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::parameter::Parameter;
use super::shape::Shape;
use crate::access::Role;
use crate::access::routes::{Need, Rule, Under};
use crate::parts::Gate;

/// Longest form or JSON body; queries are far smaller.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a caller must be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Anybody may who has logged in, where that is asked: the page and its files. Without login only
    /// what the operator opens, by default that the process lives and is ready.
    None,
    /// Reading what is stored and what is watched.
    Read,
    /// Sending samples and alerts.
    Write,
    /// Making and ending silences.
    Silence,
    /// Acting on the whole: reload, deletion, ending others' queries.
    Admin,
}

impl Access {
    /// Every one, the weakest first.
    pub const ALL: [Access; 5] =
        [Access::None, Access::Read, Access::Write, Access::Silence, Access::Admin];

    /// As the document and the configuration write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Access::None => "none",
            Access::Read => "read",
            Access::Write => "write",
            Access::Silence => "silence",
            Access::Admin => "admin",
        }
    }
}

/// The verbs in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// GET, and with it HEAD.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

impl Verb {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
        }
    }

    /// As HTTP types have it.
    pub fn method(self) -> Method {
        match self {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Delete => Method::DELETE,
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Put => MethodFilter::PUT,
            Verb::Delete => MethodFilter::DELETE,
        }
    }
}

/// What a request carries beside its parameters.
#[derive(Clone, PartialEq)]
pub enum Body {
    /// Nothing. POST and PUT take the parameters as a form too.
    Nothing,
    /// JSON of this shape.
    Json(Box<Shape>),
    /// Bytes of one of these content types.
    Bytes(&'static [&'static str]),
}

/// What a good answer is.
#[derive(Clone, PartialEq)]
pub enum Answer {
    /// JSON in the envelope, with this under `data`.
    Data(Shape),
    /// JSON of this shape.
    Json(Shape),
    /// Something else, by content type.
    Bytes(&'static [&'static str]),
    /// Nothing: 204.
    Nothing,
}

/// One route.
pub struct Route {
    /// Where, from the root: `/api/v1/label/{name}/values`.
    pub path: &'static str,
    /// How.
    pub verbs: Vec<Verb>,
    /// Who.
    pub access: Access,
    /// Name of the operation; verbs after the first one are put behind it.
    pub id: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What it is told by in the URL or the form.
    pub parameters: Vec<Parameter>,
    /// What it is given beside that.
    pub body: Body,
    /// What it gives when all is well.
    pub answer: Answer,
    /// Content types that the answer may have instead of JSON, when they are asked for.
    pub or_bytes: &'static [&'static str],
    /// Further good answers: code, and what they mean.
    pub also: Vec<(u16, &'static str)>,
    /// Longest body.
    pub body_bytes_max: usize,
    /// Whether it answers before the rooms are open.
    pub is_early: bool,
    /// What becomes of callers with a label scope; they are refused unless it says otherwise.
    pub under: Under,
    handler: MethodRouter<Gate>,
}

impl Route {
    /// A route without verbs, parameters and answer.
    pub fn new(
        access: Access,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Route {
        Route {
            path,
            verbs: Vec::new(),
            access,
            id,
            summary,
            parameters: Vec::new(),
            body: Body::Nothing,
            answer: Answer::Nothing,
            or_bytes: &[],
            also: Vec::new(),
            body_bytes_max: BODY_BYTES_MAX,
            is_early: false,
            under: Under::default(),
            handler: MethodRouter::new(),
        }
    }

    /// Answered by a handler on these verbs.
    pub fn on<H, T>(mut self, verbs: &[Verb], handler: H) -> Route
    where
        H: Handler<T, Gate>,
        T: 'static,
    {
        let mut filters = verbs.iter().map(|verb| verb.filter());
        if let Some(first) = filters.next() {
            let all = filters.fold(first, MethodFilter::or);
            self.handler = self.handler.merge(on(all, handler));
            self.verbs.extend(verbs);
        }
        self
    }

    /// Answered in other content types too.
    pub fn or_bytes(mut self, kinds: &'static [&'static str]) -> Route {
        self.or_bytes = kinds;
        self
    }

    /// Answered on GET.
    pub fn get<H: Handler<T, Gate>, T: 'static>(self, handler: H) -> Route {
        self.on(&[Verb::Get], handler)
    }

    /// Answered on GET and POST alike.
    pub fn get_post<H: Handler<T, Gate>, T: 'static>(self, handler: H) -> Route {
        self.on(&[Verb::Get, Verb::Post], handler)
    }

    /// Answered on POST and PUT alike.
    pub fn post_put<H: Handler<T, Gate>, T: 'static>(self, handler: H) -> Route {
        self.on(&[Verb::Post, Verb::Put], handler)
    }

    /// With parameters.
    pub fn takes(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Route {
        self.parameters.extend(parameters);
        self
    }

    /// With a body.
    pub fn body(mut self, body: Body, bytes_max: usize) -> Route {
        self.body = body;
        self.body_bytes_max = bytes_max;
        self
    }

    /// Answers JSON in the envelope.
    pub fn data(self, shape: Shape) -> Route {
        self.answer(Answer::Data(shape))
    }

    /// Answers this.
    pub fn answer(mut self, answer: Answer) -> Route {
        self.answer = answer;
        self
    }

    /// Has another good answer.
    pub fn also(mut self, code: u16, meaning: &'static str) -> Route {
        self.also.push((code, meaning));
        self
    }

    /// Answers before the rooms are open.
    pub fn early(mut self) -> Route {
        self.is_early = true;
        self
    }

    /// Shows callers with a label scope what is inside.
    pub fn narrowed(mut self) -> Route {
        self.under = Under::Narrowed;
        self
    }

    /// Tells nothing of series, so that callers with a label scope may ask too.
    pub fn plain(mut self) -> Route {
        self.under = Under::Plain;
        self
    }

    /// What access asks of a caller.
    pub fn rule(&self) -> Rule {
        let need = match self.access {
            Access::None => Need::Known,
            Access::Read => Need::Role(Role::Read),
            Access::Write => Need::Role(Role::Write),
            Access::Silence => Need::Role(Role::Silence),
            Access::Admin => Need::Role(Role::Admin),
        };
        Rule { need, under: self.under }
    }

    /// Whether what is wrong is told in Prometheus' envelope.
    pub fn is_enveloped(&self) -> bool {
        self.path.starts_with("/api/v1/")
    }

    /// What answers.
    pub fn into_handler(self) -> MethodRouter<Gate> {
        self.handler
    }
}
