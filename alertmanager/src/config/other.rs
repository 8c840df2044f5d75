//! A catalogue of the services that the field's files name and Belfry does not speak itself.
//!
//! Place in the flow: `global` accepts their defaults; `receiver` refuses their receivers by name.
//!
//! Not here: webhook and e-mail.

/// Integrations that are refused, each with the advice that the problem gives.
pub(super) const INTEGRATIONS: &[(&str, &str)] = &[
    ("discord_configs", RELAY),
    ("incidentio_configs", RELAY),
    ("jira_configs", RELAY),
    ("mattermost_configs", POST),
    ("msteams_configs", POST),
    ("msteamsv2_configs", POST),
    ("opsgenie_configs", RELAY),
    ("pagerduty_configs", RELAY),
    ("pushover_configs", RELAY),
    ("rocketchat_configs", POST),
    ("slack_configs", POST),
    ("sns_configs", RELAY),
    ("telegram_configs", RELAY),
    ("victorops_configs", RELAY),
    ("webex_configs", RELAY),
    ("wechat_configs", RELAY),
];

const POST: &str = "is not supported; its service takes a plain HTTPS post, so use webhook_configs \
                    with a `payload`, or email_configs";
const RELAY: &str = "is not supported; use webhook_configs to a relay inside the installation, or \
                     email_configs";

/// Keys of `global` that belong to those services.
pub(super) const GLOBAL_KEYS: &[&str] = &[
    "slack_api_url",
    "slack_api_url_file",
    "slack_app_token",
    "slack_app_token_file",
    "slack_app_url",
    "victorops_api_url",
    "victorops_api_key",
    "victorops_api_key_file",
    "pagerduty_url",
    "opsgenie_api_url",
    "opsgenie_api_key",
    "opsgenie_api_key_file",
    "rocketchat_api_url",
    "rocketchat_token",
    "rocketchat_token_file",
    "rocketchat_token_id",
    "rocketchat_token_id_file",
    "wechat_api_url",
    "wechat_api_secret",
    "wechat_api_secret_file",
    "wechat_api_corp_id",
    "telegram_api_url",
    "telegram_bot_token",
    "telegram_bot_token_file",
    "webex_api_url",
    "mattermost_webhook_url",
    "mattermost_webhook_url_file",
    "jira_api_url",
];

/// Words in a key whose value is never shown.
pub(super) const SECRET_WORDS: &[&str] = &[
    "password",
    "secret",
    "secrets",
    "token",
    "credentials",
    "api_key",
    "webhook_url",
    "slack_api_url",
    "routing_key",
    "service_key",
    "user_key",
    "access_key",
];
