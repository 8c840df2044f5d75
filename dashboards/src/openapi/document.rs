//! From the table of routes to the OpenAPI document.
//!
//! Place in the flow: `table` → **`document`** → `serve`. The document names for each operation who
//! may ask it, under `x-belfry-role`, and what becomes of callers with a label scope, under
//! `x-belfry-scope`.
//!
//! Not here: what routes there are (`table`), what their answers look like (`data`).

use std::collections::BTreeMap;

use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem, PathItemBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ComponentsBuilder, Content, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi,
    OpenApiBuilder, OpenApiVersion, PathsBuilder, Ref, RefOr, Required, Server,
};

use super::data;
use super::route::{Access, Answer, Body, Route, Verb};
use super::shape::{self, Shape};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
/// What may go wrong with any operation, as code and meaning.
const REFUSALS: [(u16, &str); 12] = [
    (400, "the request can't be understood"),
    (401, "no or wrong credentials"),
    (403, "not allowed, or switched off"),
    (404, "there is no such thing, or the service does not run here"),
    (406, "none of the accepted forms can be given"),
    (413, "the body is too long"),
    (415, "the body's content type or encoding is not read"),
    (422, "understood, and can't be done"),
    (429, "too many requests"),
    (499, "the caller went away"),
    (500, "a fault of the server"),
    (503, "not now: still starting, too busy, timed out, or ended by an operator"),
];

/// The document about these routes. `server` is the path that all of them stand under.
pub fn document(routes: &[Route], server: &str, version: OpenApiVersion) -> OpenApi {
    let mut items: BTreeMap<&str, PathItem> = BTreeMap::new();
    for route in routes {
        for (place, verb) in route.verbs.iter().enumerate() {
            let item = PathItemBuilder::new().operation(method(*verb), operation(route, place));
            match items.get_mut(route.path) {
                Some(own) => own.merge_operations(item.build()),
                None => _ = items.insert(route.path, item.build()),
            }
        }
    }
    let paths =
        items.into_iter().fold(PathsBuilder::new(), |all, (path, item)| all.path(path, item));
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Belfry")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The HTTP API of Belfry: Prometheus' under /api/v1, Alertmanager's under /api/v2, and \
             what goes beyond both. Parameters of a POST may stand in its form, in the URL, or both.",
        ))
        .license(Some(license.build()));
    OpenApiBuilder::new()
        .openapi(version)
        .info(info.build())
        .servers(Some([Server::new(if server.is_empty() { "/" } else { server })]))
        .paths(paths.build())
        .components(Some(components()))
        .build()
}

fn method(verb: Verb) -> HttpMethod {
    match verb {
        Verb::Get => HttpMethod::Get,
        Verb::Post => HttpMethod::Post,
        Verb::Put => HttpMethod::Put,
        Verb::Delete => HttpMethod::Delete,
    }
}

fn operation(route: &Route, place: usize) -> Operation {
    let verb = route.verbs[place];
    let mut own = Operation::new();
    own.tags = Some(vec![tag(route.path).to_owned()]);
    own.summary = Some(route.summary.to_owned());
    own.operation_id = Some(match place {
        0 => route.id.to_owned(),
        _ => format!("{}{}", route.id, capitalized(verb)),
    });
    let is_form = verb != Verb::Get && verb != Verb::Delete && route.body == Body::Nothing;
    let shown = route.parameters.iter().filter(|one| one.is_in_path || !is_form);
    let parameters: Vec<_> = shown
        .map(|one| {
            let place = if one.is_in_path { ParameterIn::Path } else { ParameterIn::Query };
            let parameter = ParameterBuilder::new()
                .name(one.name)
                .parameter_in(place)
                .required(required(one.is_required))
                .description(Some(one.meaning))
                .example(one.example())
                .schema(Some(one.shape()));
            RefOr::T(parameter.build())
        })
        .collect();
    own.parameters = Some(parameters).filter(|all| !all.is_empty());
    own.request_body = request_body(route, is_form).map(RefOr::T);
    own.responses = responses(route);
    if route.access != Access::None {
        let none: [&str; 0] = [];
        own.security = Some(vec![
            SecurityRequirement::new("basic", none),
            SecurityRequirement::new("bearer", none),
            SecurityRequirement::default(),
        ]);
    }
    own.extensions = Some(Extensions::from_iter([
        ("x-belfry-role", route.access.as_str()),
        ("x-belfry-scope", route.under.as_str()),
    ]));
    own
}

fn required(is_required: bool) -> Required {
    if is_required { Required::True } else { Required::False }
}

fn capitalized(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "Get",
        Verb::Post => "Post",
        Verb::Put => "Put",
        Verb::Delete => "Delete",
    }
}

/// Groups of the document, by the path.
fn tag(path: &str) -> &'static str {
    let Some(rest) = path.strip_prefix("/api/v1/") else {
        return if path.starts_with("/api/v2/") { "alertmanager" } else { "server" };
    };
    match rest.split('/').next().unwrap_or_default() {
        "admin" => "admin",
        "write" | "otlp" | "import" | "push" => "push",
        "rules" | "alerts" | "alertmanagers" => "rules",
        "targets" | "scrape_pools" => "targets",
        "series" | "labels" | "label" | "metadata" | "search" => "series",
        "query" | "query_range" | "query_exemplars" | "queries" | "read" | "sql" | "explain"
        | "format_query" | "parse_query" => "query",
        _ => "status",
    }
}

fn request_body(
    route: &Route,
    is_form: bool,
) -> Option<utoipa::openapi::request_body::RequestBody> {
    let builder = RequestBodyBuilder::new();
    match &route.body {
        Body::Json(shape) => Some(
            builder
                .content(JSON, content(Shape::clone(shape)))
                .required(Some(Required::True))
                .build(),
        ),
        Body::Bytes(kinds) => {
            let all = kinds.iter().fold(builder, |all, kind| all.content(*kind, bytes()));
            Some(all.required(Some(Required::True)).build())
        }
        Body::Nothing if is_form => {
            let fields: Vec<(String, Shape)> = route
                .parameters
                .iter()
                .filter(|one| !one.is_in_path)
                .map(|one| {
                    let mark = if one.is_required { "" } else { "?" };
                    (format!("{}{mark}", one.name), one.shape())
                })
                .collect();
            if fields.is_empty() {
                return None;
            }
            let is_required = route.parameters.iter().any(|one| one.is_required && !one.is_in_path);
            let borrowed: Vec<(&str, Shape)> =
                fields.iter().map(|(name, shape)| (name.as_str(), shape.clone())).collect();
            let form = builder.content(FORM, content(shape::object(&borrowed)));
            Some(form.required(Some(required(is_required))).build())
        }
        Body::Nothing => None,
    }
}

fn content(shape: Shape) -> Content {
    Content::new(Some(shape))
}

fn bytes() -> Content {
    content(shape::text())
}

fn enveloped(shape: &Shape) -> ResponseBuilder {
    let envelope = shape::object(&[
        ("status", shape::choice(&["success"])),
        ("data", shape.clone()),
        ("warnings?", shape::list(shape::text())),
        ("infos?", shape::list(shape::text())),
    ]);
    ResponseBuilder::new().content(JSON, content(envelope))
}

fn responses(route: &Route) -> utoipa::openapi::Responses {
    let (code, good) = match &route.answer {
        Answer::Data(shape) => (200, enveloped(shape)),
        Answer::Json(shape) => (200, ResponseBuilder::new().content(JSON, content(shape.clone()))),
        Answer::Bytes(kinds) => {
            let empty = ResponseBuilder::new();
            let own = |kind: &str| match kind {
                // A tree, once it is read.
                "application/yaml" => content(shape::any()),
                _ => bytes(),
            };
            (200, kinds.iter().fold(empty, |all, kind| all.content(*kind, own(kind))))
        }
        Answer::Nothing => (204, ResponseBuilder::new()),
    };
    let good = route.or_bytes.iter().fold(good, |all, kind| all.content(*kind, bytes()));
    let mut all =
        ResponsesBuilder::new().response(code.to_string(), good.description("as asked").build());
    for (code, meaning) in &route.also {
        all = all.response(code.to_string(), ResponseBuilder::new().description(*meaning).build());
    }
    let name = error_name(route);
    for (code, _) in REFUSALS {
        if !route.also.iter().any(|(own, _)| *own == code) {
            all = all.response(code.to_string(), Ref::from_response_name(format!("{name}{code}")));
        }
    }
    all.build()
}

/// Which form errors of a route have.
fn error_name(route: &Route) -> &'static str {
    let is_text = matches!(route.answer, Answer::Bytes(_)) || matches!(route.body, Body::Bytes(_));
    match route.path {
        path if path.starts_with("/api/v2/") => "Problem",
        _ if is_text || !route.is_enveloped() => "Any",
        _ => "Error",
    }
}

fn components() -> Components {
    let mut own = ComponentsBuilder::new()
        .security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)))
        .security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    for (name, shape) in data::named_shapes() {
        own = own.schema(name, shape);
    }
    for (code, meaning) in REFUSALS {
        let envelope = || content(shape::named("Error"));
        let answer = || ResponseBuilder::new().description(meaning);
        let either = shape::either([shape::text(), shape::named("Error")]);
        own = own
            .response(format!("Error{code}"), answer().content(JSON, envelope()).build())
            .response(format!("Problem{code}"), answer().content(JSON, content(either)).build())
            .response(
                format!("Any{code}"),
                answer().content(JSON, envelope()).content("text/plain", bytes()).build(),
            );
    }
    own.build()
}
