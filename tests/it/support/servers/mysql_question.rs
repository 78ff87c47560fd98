//! What a test asks of a MariaDB or MySQL server, answered as the client program in batch mode does. Each question has a session of its own, like a
//! client, and takes a tenth of the time that one takes to start.

use std::path::Path;

use futures::StreamExt as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};
use sqlx::{ConnectOptions, Connection, Either, Row};

/// What this question, which may be several statements, gives to the administrator: rows as lines, columns with tabs between.
pub fn ask(socket: &Path, database: Option<&str>, question: &str) -> sqlx::Result<String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut session = connect(socket, database).await?;
        let mut lines = Vec::new();
        let mut answers = sqlx::raw_sql(sqlx::AssertSqlSafe(question.to_owned())).fetch_many(&mut session);
        while let Some(answer) = answers.next().await {
            if let Either::Right(row) = answer? {
                lines.push(line(&row));
            }
        }
        drop(answers);
        session.close().await?;
        Ok(lines.join("\n").trim_end().to_owned())
    })
}

/// A session that has the settings of the server.
async fn connect(socket: &Path, database: Option<&str>) -> sqlx::Result<MySqlConnection> {
    let options = MySqlConnectOptions::new().username("root").socket(socket).ssl_mode(MySqlSslMode::Disabled);
    let options =
        options.pipes_as_concat(false).no_engine_substitution(false).timezone(None).charset("utf8mb4").disable_statement_logging();
    match database {
        Some(database) => options.database(database).connect().await,
        None => options.connect().await,
    }
}

fn line(row: &MySqlRow) -> String {
    let columns = (0..row.len()).map(|at| row.try_get_unchecked::<Option<&[u8]>, _>(at).unwrap().unwrap_or(b"NULL"));
    String::from_utf8(columns.collect::<Vec<_>>().join(&b'\t')).expect("the answer is text")
}
