"""The keys of a configuration file, in three classes: supported, LiteLLM's and not ours, unknown.

A key that LiteLLM knows and Weir does not use gives a warning that says so; a key that neither knows is an
error that names the nearest known one. Sources: LiteLLM's `docs/proxy/config_settings.md`, `docs/routing.md`
and the field names of its price table.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

_NONE: re.Pattern[str] = re.compile(r"(?!)")


class SettingsError(Exception):
    """The configuration is at fault. The text is one line that names the key and says what to do."""


@dataclass(frozen=True, slots=True)
class Section:
    """The keys that one place of the file may hold."""

    ours: frozenset[str]
    """Supported."""
    theirs: frozenset[str] = frozenset()
    """Known to LiteLLM, without effect here."""
    families: re.Pattern[str] = _NONE
    """Names of which LiteLLM has a whole family, without effect here."""


def check_keys(path: str, values: Mapping[str, object], section: Section) -> list[str]:
    """Warnings for the keys that have no effect.

    Raises:
        SettingsError: On a key that is unknown.
    """
    warnings: list[str] = []
    for key in values:
        if key in section.ours:
            continue
        place = f"{path}.{key}" if path else key
        if key not in section.theirs and not section.families.fullmatch(key):
            raise SettingsError(f"{place}: unknown key{_hint(key, section.ours | section.theirs)}")
        warnings.append(f"{place}: LiteLLM's setting, without effect in Weir")
    return warnings


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, where one is like it at all."""
    close = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return close[0] if close else None


def _hint(key: str, known: Iterable[str]) -> str:
    close = nearest(key, known)
    return f"; did you mean `{close}`?" if close else ""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PARAMS = _names("""
    temperature top_p max_tokens max_completion_tokens stop seed n user presence_penalty frequency_penalty
    logit_bias logprobs top_logprobs response_format tools tool_choice parallel_tool_calls reasoning_effort
    verbosity service_tier store prediction modalities top_k min_p typical_p repeat_penalty repetition_penalty
    mirostat mirostat_eta mirostat_tau num_ctx num_gpu num_thread num_keep keep_alive think best_of
    thinking extra_headers
""")
"""Parameters of a call that a route may set; they stand in `litellm_params`."""

TOP = Section(
    ours=_names(
        "model_list router_settings litellm_settings general_settings environment_variables include weir"
    ),
    theirs=_names("""
        callback_settings guardrails mcp_servers mcp_tools finetune_settings files_settings credential_list
        vector_store_registry prompts search_tools assistant_settings default_team_settings
        cost_discount_config policies agent_list default_vertex_config
        sso_settings worker_config
    """),
)
ENTRY = Section(
    ours=_names("model_name litellm_params model_info"),
    theirs=_names("tpm rpm tags blocked model_id"),
)
LITELLM_PARAMS = Section(
    ours=PARAMS
    | _names("""
        model api_base base_url api_key custom_llm_provider timeout request_timeout stream_timeout order
        max_parallel_requests drop_params input_cost_per_token output_cost_per_token
        cache_read_input_token_cost cache_creation_input_token_cost
        client proxy ca_file client_cert_file ssl_verify
    """),
    theirs=_names("""
        weight rpm tpm itpm otpm max_retries num_retries cooldown_time organization api_version region_name
        tags tag_regex headers extra_body metadata model_info mock_response max_budget
        budget_duration additional_drop_params allowed_openai_params litellm_credential_name
        use_in_pass_through use_litellm_proxy merge_reasoning_content_in_choices
        configurable_clientside_auth_params
        use_chat_completions_api fallbacks context_window_fallbacks caching max_file_size_mb
        supports_system_message default_api_key_tpm_limit default_api_key_rpm_limit hf_model_name
        azure_ad_token tenant_id client_id client_secret bucket_name gcs_bucket_name litellm_trace_id
        cache_control_injection_points vector_store_ids guardrails roles initial_prompt_value
        final_prompt_value bos_token eos_token base_model keepalive_seconds stream
    """),
    families=re.compile(
        r"(aws|vertex|watsonx|s3|azure|auto_router|complexity_router|adaptive_router|quality_router|milvus|valkey"
        r"|litellm|langfuse)_.+|(input|output|cache)_.*cost.*"
    ),
)
MODEL_INFO = Section(
    ours=_names(
        "input_cost_per_token output_cost_per_token cache_read_input_token_cost"
        " cache_creation_input_token_cost max_input_tokens max_output_tokens max_tokens mode id"
    ),
    theirs=_names("""
        base_model tier db_model litellm_provider deprecation_date source created_at created_by updated_at
        updated_by team_id team_public_model_name access_groups description health_check_model rpm tpm
        disable_background_health_check blocked metadata supported_endpoints supported_modalities
        supported_output_modalities supported_regions tool_use_system_prompt_tokens max_query_tokens
        output_vector_size health_check_timeout key provider_specific_entry version
    """),
    families=re.compile(r".*_cost(_.+)?|supports_.+|max_.+"),
)
ROUTER = Section(
    ours=_names("""
        num_retries fallbacks default_fallbacks timeout stream_timeout model_group_alias cooldown_time
        allowed_fails retry_after enable_pre_call_checks
    """),
    theirs=_names("""
        routing_strategy routing_strategy_args routing_groups redis_host redis_port redis_password redis_url
        redis_db cache_responses cache_kwargs caching_groups client_ttl context_window_fallbacks
        content_policy_fallbacks enable_pre_call_check enable_tag_filtering tag_filtering_match_any
        disable_cooldowns retry_policy model_group_retry_policy allowed_fails_policy set_verbose debug_level
        default_litellm_params default_max_parallel_requests default_priority polling_interval alerting_config
        assistants_config provider_budget_config optional_pre_call_checks router_general_settings max_retries
        ignore_invalid_deployments weights tag_routing_prefix model_group_affinity_config search_tools
        deployment_affinity_ttl_seconds guardrail_list max_fallbacks
    """),
)
LITELLM = Section(
    ours=_names("num_retries request_timeout fallbacks default_fallbacks drop_params"),
    theirs=_names("""
        success_callback failure_callback callbacks service_callback service_callbacks input_callback
        turn_off_message_logging redact_user_api_key_info langfuse_default_tags force_ipv4 json_logs
        content_policy_fallbacks context_window_fallbacks mcp_aliases cache cache_params set_verbose
        modify_params enable_preview_features allowed_fails cooldown_time model_group_alias telemetry
        disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only key_generation_settings
        disable_add_transform_inline_image_block disable_hf_tokenizer_download enable_json_schema_validation
        enable_key_alias_format_validation disable_copilot_system_to_assistant max_budget budget_duration
        use_chat_completions_url_for_anthropic_messages max_end_user_budget max_user_budget ssl_verify
        default_internal_user_params default_team_params default_team_settings upperbound_key_generate_params
        internal_user_budget_duration max_internal_user_budget guardrails public_model_groups api_base
        api_key headers drop_unsupported_params suppress_debug_info log_raw_request_response num_workers
        store_audit_logs custom_prometheus_tags prometheus_initialize_budget_metrics tag_budget_config
        default_redis_batch_cache_expiry s3_callback_params datadog_params secret_manager telemetry
        credential_list model_fallbacks include_cost_in_streaming_usage forward_traceparent_to_llm_provider
        priority_reservation priority_reservation_settings cost_margin_config cost_discount_config
    """),
)
GENERAL = Section(
    ours=frozenset(),
    theirs=_names("""
        completion_model master_key database_url database_connection_pool_limit database_connection_timeout
        custom_auth max_parallel_requests global_max_parallel_requests infer_model_from_keys
        background_health_checks health_check_interval health_check_details alerting alerting_threshold
        alert_types alerting_args alert_to_webhook_url forward_client_headers_to_llm_api
        enforce_user_param enforced_params reject_clientside_metadata_tags public_routes
        key_management_system key_management_settings service_account_settings
        supported_db_objects user_mcp_management_mode max_request_size_mb max_response_size_mb
        proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time proxy_batch_write_at
        proxy_batch_polling_interval custom_key_generate allowed_ips embedding_model image_generation_model
        moderation_model default_team_disabled user_api_key_cache_ttl litellm_key_header_name
        custom_sso spend_report_frequency ui_access_mode oauth2_config_mappings pass_through_endpoints
        forward_openai_org_id maximum_spend_logs_retention_period maximum_spend_logs_retention_interval
        coordination_redis role_permissions block_robots scim_settings email_settings
    """),
    families=re.compile(
        r"(disable|enable|allow|allowed|use|store|litellm|admin_only|maximum|proxy|ui|custom|control_plane)_.+"
    ),
)
WEIR = Section(
    ours=_names("""
        kafka delivery retry health limits counting compression recall references memory conversations plugins
    """)
)
