//! Parameters in, rows out.
//!
//! Place in the flow: a bound portal → DataFusion's parameter values; [`Rows`] → data rows of the
//! wire, batch by batch.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion_postgres::arrow_pg::datatypes::{
    arrow_schema_to_pg_fields, df, encode_recordbatch, into_pg_type,
};
use futures::stream::{self, StreamExt};
use pgwire::api::Type;
use pgwire::api::portal::{Format, Portal};
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::types::format::FormatOptions;

use crate::json::{flat, flat_schema};
use crate::{Error, Rows};

/// Types of parameters by position; `None` where the statement does not tell.
pub fn parameters(plan: &LogicalPlan) -> PgWireResult<Vec<Option<DataType>>> {
    let types = plan.get_parameter_types().map_err(|error| wire(&Error::of_planning(error)))?;
    let number = |name: &str| name.trim_start_matches('$').parse::<usize>().unwrap_or(usize::MAX);
    let mut named: Vec<(usize, Option<DataType>)> =
        types.into_iter().map(|(name, kind)| (number(&name), kind)).collect();
    named.sort_by_key(|(number, _)| *number);
    Ok(named.into_iter().map(|(_, kind)| kind).collect())
}

/// The same as types of the wire.
pub fn parameter_types(plan: &LogicalPlan) -> PgWireResult<Vec<Type>> {
    let kinds = parameters(plan)?;
    kinds.iter().map(|kind| kind.as_ref().map_or(Ok(Type::UNKNOWN), into_pg_type)).collect()
}

/// The values that a client has bound.
pub fn bound<S: Clone>(portal: &Portal<S>, plan: &LogicalPlan) -> PgWireResult<ParamValues> {
    let (kinds, types) = (parameters(plan)?, parameter_types(plan)?);
    let kinds: Vec<Option<&DataType>> = kinds.iter().map(Option::as_ref).collect();
    let types: Vec<Option<&Type>> = types.iter().map(Some).collect();
    df::deserialize_parameters_with_server_types(portal, &kinds, &types)
}

/// Columns as the wire names them; what it has no type for is JSON.
pub fn fields(
    schema: &Schema,
    format: &Format,
    options: Option<Arc<FormatOptions>>,
) -> PgWireResult<Vec<FieldInfo>> {
    arrow_schema_to_pg_fields(&flat_schema(schema, is_foreign), format, options)
}

/// An answer whose rows are encoded as they come.
pub fn response(
    rows: Rows,
    format: &Format,
    options: Arc<FormatOptions>,
) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(fields(rows.schema(), format, Some(options))?);
    let schema = flat_schema(rows.schema(), is_foreign);
    let own = Arc::clone(&fields);
    let batches = stream::unfold(Some(rows), |rows| async {
        let mut rows = rows?;
        match rows.next().await? {
            Ok(batch) => Some((Ok(batch), Some(rows))),
            Err(error) => Some((Err(wire(&error)), None)),
        }
    });
    let encoded = batches.flat_map(move |batch| {
        let flattened = batch.and_then(|batch| {
            let flattened = flat(&batch, &schema, is_foreign);
            flattened.map_err(|error| wire(&Error::Execution(error.to_string())))
        });
        match flattened {
            Ok(batch) => {
                let rows = encode_recordbatch(Arc::clone(&own), batch);
                stream::iter(rows).left_stream()
            }
            Err(error) => stream::iter([Err(error)]).right_stream(),
        }
    });
    Ok(QueryResponse::new(fields, encoded.fuse()))
}

/// One column, one row.
pub fn one_text(name: &str, value: &str) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(vec![text_field(name)]);
    let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
    encoder.encode_field(&Some(value))?;
    let row = encoder.take_row();
    Ok(QueryResponse::new(fields, stream::iter([Ok(row)])))
}

/// A column of texts.
pub fn text_field(name: &str) -> FieldInfo {
    FieldInfo::new(name.to_owned(), None, None, Type::VARCHAR, FieldFormat::Text)
}

/// What the wire has no type for.
fn is_foreign(kind: &DataType) -> bool {
    match kind {
        DataType::Map(..) | DataType::Struct(_) | DataType::Union(..) => true,
        DataType::List(field) | DataType::LargeList(field) => field.data_type().is_nested(),
        _ => false,
    }
}

/// An error with the code that drivers know.
pub fn wire(error: &Error) -> PgWireError {
    let code = match error {
        Error::Statement { message, .. } if message.contains("is not allowed") => "25006",
        Error::Statement { .. } => "42601",
        Error::Query(own) => match own {
            query::Error::TimedOut { .. }
            | query::Error::Cancelled { .. }
            | query::Error::Killed => "57014",
            query::Error::Busy { .. } => "53300",
            query::Error::Storage(_) => "58030",
            query::Error::OverBudget { .. } => "53200",
            _ => "54000",
        },
        Error::Execution(_) => "22000",
    };
    refusal(code, &error.to_string())
}

/// An error of ours.
pub fn refusal(code: &str, text: &str) -> PgWireError {
    let own = ErrorInfo::new("ERROR".to_owned(), code.to_owned(), text.to_owned());
    PgWireError::UserError(Box::new(own))
}
