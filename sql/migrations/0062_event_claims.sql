-- Claims expire by their age, and lie by their keys: each merge for expired rows rewrites whole parts. Once a day will do.
ALTER TABLE event_claims MODIFY SETTING merge_with_ttl_timeout = 86400
