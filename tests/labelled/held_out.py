"""
Stories that nobody looks at while numbers are tuned: chosen once, by name, before the first run, about every third.

Weights, points and thresholds are changed for the others alone. What comes out for these is measured and told.
"""

from __future__ import annotations

HELD_OUT = frozenset(
    {
        # compromised
        "token_stolen_from_the_laptop",
        "rss_rule_in_german",
        "smtp_from_a_new_country",
        "second_factor_of_the_attacker",
        "old_break_in_woken",
        "nobody_kept_an_audit_log",
        "only_the_rules_can_be_read",
        "shared_mailbox_with_a_password",
        "mail_program_that_copies_all",
        "tug_of_war_over_the_password",
        "inbox_open_to_everybody",
        "script_over_web_services",
        "answers_in_old_conversations",
        "phone_company_address",
        # honest
        "payslips_on_the_twenty_fifth",
        "a_week_in_tokyo",
        "executive_with_two_assistants",
        "tidy_bookkeeper",
        "signature_that_roams",
        "new_phone_the_day_before",
        "scanner_in_the_hall",
        "small_shop_without_licences",
        "reply_to_all_of_them",
        "sales_tool_without_copies",
        "risk_settled_after_a_trip",
        "married_and_renamed",
        "gift_cards_for_everybody",
        "sprayed_without_success",
        "commuter_over_the_bridge",
    }
)
