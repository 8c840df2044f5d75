//! What a statement does, read from its text: only what reads is let through.
//!
//! Place in the flow: text → **`read_only`** → planner.
//!
//! The plan is checked once more before it runs; this is for a clear text.

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;

use crate::Error;

/// Refuses whatever does not only read.
pub fn read_only(statement: &Statement) -> Result<(), Error> {
    let word = match statement {
        Statement::Statement(inner) => return plain(inner),
        Statement::Explain(explain) => return read_only(&explain.statement),
        Statement::CreateExternalTable(_) => "CREATE EXTERNAL TABLE".to_owned(),
        Statement::CopyTo(_) => "COPY".to_owned(),
        Statement::Reset(_) => "RESET".to_owned(),
    };
    Err(refused(&word))
}

/// Refuses a plain SQL statement that does not only read.
pub fn plain(statement: &ast::Statement) -> Result<(), Error> {
    match statement {
        ast::Statement::Query(query) => query_only(query),
        ast::Statement::Explain { statement, .. } => plain(statement),
        ast::Statement::ExplainTable { .. }
        | ast::Statement::ShowVariable { .. }
        | ast::Statement::ShowTables { .. }
        | ast::Statement::ShowColumns { .. }
        | ast::Statement::ShowSchemas { .. }
        | ast::Statement::ShowFunctions { .. } => Ok(()),
        other => Err(refused(&first_words(&other.to_string()))),
    }
}

/// A query whose body is an `INSERT` or the like writes.
fn query_only(query: &ast::Query) -> Result<(), Error> {
    match query.body.as_ref() {
        ast::SetExpr::Insert(_)
        | ast::SetExpr::Update(_)
        | ast::SetExpr::Delete(_)
        | ast::SetExpr::Merge(_) => Err(refused("a query that writes")),
        ast::SetExpr::Select(select) if select.into.is_some() => Err(refused("SELECT INTO")),
        _ => Ok(()),
    }
}

fn refused(word: &str) -> Error {
    Error::statement(format!(
        "{word} is not allowed: this is a view on what Belfry has stored, and only SELECT, WITH, \
         VALUES, EXPLAIN and SHOW are answered"
    ))
}

/// The words in capitals that a statement begins with, two at most.
fn first_words(text: &str) -> String {
    let is_keyword = |word: &&str| word.chars().all(|own| own.is_ascii_uppercase());
    let words: Vec<&str> = text.split_whitespace().take(2).take_while(is_keyword).collect();
    words.join(" ")
}
