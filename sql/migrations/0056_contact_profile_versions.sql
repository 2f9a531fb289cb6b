-- Profiles are found by the customers they speak for, as before by customer_ids.
ALTER TABLE contact_profile_versions ADD INDEX by_folded folded_ids TYPE bloom_filter(0.01) GRANULARITY 1
