-- A row is one code with the number of waiting dead letters and the times of the first and the last.
SELECT code, count() AS letters, min(received_at) AS first_received_at, max(received_at) AS last_received_at
FROM dead_letters
WHERE replayed_at IS NULL
GROUP BY code
ORDER BY letters DESC, code
