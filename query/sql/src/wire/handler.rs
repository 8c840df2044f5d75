//! Statements of one connection, in the simple and in the extended protocol.
//!
//! Place in the flow: text → the helper's parser, which rewrites what psql and others ask of the
//! catalog → [`Session`](crate::Session) → rows.
//!
//! A connection has settings of its own: a statement's time-out, and how times are written. Nothing
//! that is set here reaches the planner.
//!
//! Not here: greeting and password (`startup`), encoding (`values`).

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Expr, Set, Statement};
use futures::Sink;
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{FieldInfo, Response, Tag};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::types::format::FormatOptions;
use query::QueryOptions;

use super::Shared;
use super::values::{
    bound, fields, one_text, parameter_types, refusal, response, text_field, wire,
};
use crate::functions::setting;
use crate::session::{Work, verified};
use crate::statement;
use crate::{Error, Rows};

/// The key of a connection's time-out among what the protocol's library keeps for it.
const TIMEOUT: &str = "statement_timeout";

/// A statement that has been read, and planned if it asks the tables.
#[derive(Clone)]
pub struct Prepared {
    text: Arc<str>,
    statement: Arc<Statement>,
    plan: Option<Arc<LogicalPlan>>,
}

/// Answers the statements of one connection.
pub struct Handler {
    shared: Arc<Shared>,
    reader: Arc<Reader>,
}

/// Reads and plans statements of the extended protocol.
pub struct Reader {
    shared: Arc<Shared>,
}

impl Handler {
    /// For one connection.
    pub fn new(shared: Arc<Shared>) -> Handler {
        Handler { reader: Arc::new(Reader { shared: Arc::clone(&shared) }), shared }
    }

    async fn run(
        &self,
        client: &(impl ClientInfo + ?Sized + Sync),
        text: &str,
        work: Work,
    ) -> PgWireResult<Rows> {
        let told = |name: &str| client.metadata().get(name).map_or("", String::as_str);
        let options = QueryOptions {
            timeout_ms: told(TIMEOUT).parse().ok().filter(|ms| *ms > 0),
            origin: format!("postgres {}", told("application_name")).trim_end().to_owned(),
            user: told("user").to_owned(),
            ..QueryOptions::default()
        };
        let rows = self.shared.session.run(text, work, (Instant::now(), &options)).await;
        rows.map_err(|error| wire(&error))
    }
}

/// Reads all statements of a text.
fn parse(shared: &Shared, text: &str) -> PgWireResult<Vec<Statement>> {
    shared.parser.parse(text).map_err(|error| {
        let error = datafusion::error::DataFusionError::SQL(Box::new(error), None);
        wire(&Error::of_planning(error))
    })
}

/// Statements about the connection itself; `None` for one that asks the tables.
fn about_connection(
    client: &mut (impl ClientInfo + ?Sized),
    own: &Statement,
) -> Option<PgWireResult<Response>> {
    let done = |word: &str| Some(Ok(Response::Execution(Tag::new(word))));
    match own {
        Statement::Set(set) => Some(assign(client, set)),
        Statement::ShowVariable { variable } => Some(show(client, variable)),
        Statement::StartTransaction { .. } => {
            Some(Ok(Response::TransactionStart(Tag::new("BEGIN"))))
        }
        Statement::Commit { .. } => Some(Ok(Response::TransactionEnd(Tag::new("COMMIT")))),
        Statement::Rollback { .. } => Some(Ok(Response::TransactionEnd(Tag::new("ROLLBACK")))),
        Statement::Discard { .. } => done("DISCARD ALL"),
        Statement::Deallocate { .. } => done("DEALLOCATE"),
        _ => None,
    }
}

/// `SET`: the time-out and how values are written; what drivers set and means nothing here.
fn assign(client: &mut (impl ClientInfo + ?Sized), set: &Set) -> PgWireResult<Response> {
    let done = Ok(Response::Execution(Tag::new("SET")));
    let (name, values) = match set {
        Set::SingleAssignment { variable, values, .. } => {
            (variable.to_string().to_ascii_lowercase(), values.as_slice())
        }
        Set::SetTimeZone { .. } | Set::SetNames { .. } | Set::SetTransaction { .. } => return done,
        other => return Err(refusal("0A000", &format!("{other} is not supported"))),
    };
    let text = values.first().map(plain_text).unwrap_or_default();
    match name.as_str() {
        TIMEOUT => {
            let timeout_ms = timeout_ms(&text)
                .ok_or_else(|| refusal("22023", &format!("{text:?} is no time, such as '30s'")))?;
            client.metadata_mut().insert(name, timeout_ms.to_string());
            done
        }
        "datestyle" | "intervalstyle" | "bytea_output" | "extra_float_digits"
        | "application_name" => {
            client.metadata_mut().insert(name, text);
            done
        }
        // Drivers set these at every start; there is one encoding, one schema path, one time zone.
        "client_encoding"
        | "client_min_messages"
        | "search_path"
        | "timezone"
        | "standard_conforming_strings"
        | "lock_timeout"
        | "idle_in_transaction_session_timeout"
        | "row_security"
        | "jit" => done,
        "default_transaction_read_only" | "transaction_read_only"
            if !matches!(text.as_str(), "off" | "false" | "0" | "no") =>
        {
            done
        }
        _ => {
            let text = format!("parameter \"{name}\" can't be set here: this is a read-only view");
            Err(refusal("42704", &text))
        }
    }
}

fn plain_text(value: &Expr) -> String {
    value.to_string().trim_matches(['\'', '"']).to_owned()
}

/// A time as Postgres writes it; milliseconds without a unit.
fn timeout_ms(text: &str) -> Option<u64> {
    let digits = text.find(|own: char| !own.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn show(
    client: &(impl ClientInfo + ?Sized),
    variable: &[datafusion::sql::sqlparser::ast::Ident],
) -> PgWireResult<Response> {
    let words: Vec<String> = variable.iter().map(|own| own.value.to_ascii_lowercase()).collect();
    let name = match words.join("_").as_str() {
        "time_zone" => "timezone".to_owned(),
        "transaction_isolation_level" => "transaction_isolation".to_owned(),
        other => other.to_owned(),
    };
    let value = match (client.metadata().get(&name), name.as_str()) {
        (Some(value), TIMEOUT) => format!("{value}ms"),
        (Some(value), _) => value.clone(),
        (None, TIMEOUT) => "0".to_owned(),
        (None, "transaction_isolation") => "read committed".to_owned(),
        (None, name) => setting(name)
            .ok_or_else(|| {
                let text = format!("unrecognized configuration parameter \"{name}\"");
                refusal("42704", &text)
            })?
            .to_owned(),
    };
    Ok(Response::Query(one_text(&name, &value)?))
}

fn options(client: &(impl ClientInfo + ?Sized)) -> Arc<FormatOptions> {
    Arc::new(FormatOptions::from_client_metadata(client.metadata()))
}

#[async_trait]
impl SimpleQueryHandler for Handler {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statements = parse(&self.shared, query)?;
        if statements.is_empty() {
            return Ok(vec![Response::EmptyQuery]);
        }
        let mut responses = Vec::new();
        for own in statements {
            if let Some(answer) = about_connection(client, &own) {
                responses.push(answer?);
                continue;
            }
            statement::plain(&own).map_err(|error| wire(&error))?;
            let text = own.to_string();
            let work = Work::Statement(Box::new(Parsed::Statement(Box::new(own))));
            let rows = self.run(client, &text, work).await?;
            responses.push(Response::Query(response(rows, &Format::UnifiedText, options(client))?));
        }
        Ok(responses)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Handler {
    type Statement = Prepared;
    type QueryParser = Reader;

    fn query_parser(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Prepared>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        let Some(plan) = &prepared.plan else {
            let answer = about_connection(client, &prepared.statement);
            return answer.unwrap_or(Ok(Response::EmptyQuery));
        };
        let values = bound(portal, plan)?;
        let plan = plan.as_ref().clone().replace_params_with_values(&values);
        let plan = plan.map_err(|error| wire(&Error::of_planning(error)))?;
        let rows = self.run(client, &prepared.text, Work::Plan(Box::new(plan))).await?;
        let format = &portal.result_column_format;
        Ok(Response::Query(response(rows, format, options(client))?))
    }
}

#[async_trait]
impl QueryParser for Reader {
    type Statement = Prepared;

    async fn parse_sql<C>(
        &self,
        _client: &C,
        sql: &str,
        _types: &[Option<Type>],
    ) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let mut statements = parse(&self.shared, sql)?;
        if statements.len() > 1 {
            let text = "cannot insert multiple commands into a prepared statement";
            return Err(refusal("42601", text));
        }
        let Some(own) = statements.pop() else { return Ok(None) };
        let text: Arc<str> = own.to_string().into();
        let is_own = matches!(
            own,
            Statement::Set(_)
                | Statement::ShowVariable { .. }
                | Statement::StartTransaction { .. }
                | Statement::Commit { .. }
                | Statement::Rollback { .. }
                | Statement::Discard { .. }
                | Statement::Deallocate { .. }
        );
        let mut plan = None;
        if !is_own {
            statement::plain(&own).map_err(|error| wire(&error))?;
            let parsed = Parsed::Statement(Box::new(own.clone()));
            let planned = self.shared.session.template().statement_to_plan(parsed).await;
            let planned = planned.and_then(|plan| verified(&plan).map(|()| plan));
            plan = Some(Arc::new(planned.map_err(|error| wire(&Error::of_planning(error)))?));
        }
        Ok(Some(Prepared { text, statement: Arc::new(own), plan }))
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        prepared.plan.as_ref().map_or(Ok(Vec::new()), |plan| parameter_types(plan))
    }

    fn get_result_schema(
        &self,
        prepared: &Prepared,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match (&prepared.plan, prepared.statement.as_ref()) {
            (Some(plan), _) => {
                fields(plan.schema().as_arrow(), format.unwrap_or(&Format::UnifiedText), None)
            }
            (None, Statement::ShowVariable { variable }) => {
                let name: Vec<String> =
                    variable.iter().map(|own| own.value.to_ascii_lowercase()).collect();
                Ok(vec![text_field(&name.join("_"))])
            }
            (None, _) => Ok(Vec::new()),
        }
    }
}
