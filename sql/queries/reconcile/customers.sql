-- One row: the number of events of the history, and tenant and customer of some of them, drawn at random.
SELECT
    count() AS events,
    groupArraySample(4096, 7)([toString(tenant_id), customer_id]) AS customers
FROM interaction_log
