INSERT OVERWRITE TABLE customer_segments
SELECT
    c.customer_id,
    CASE
        WHEN count(o.order_id) >= 10 THEN 'regular'
        WHEN count(o.order_id) >= 1 THEN 'occasional'
        ELSE 'sleeping'
    END AS segment
FROM customers AS c
LEFT JOIN orders AS o
    ON o.customer_id = c.customer_id
    AND o.ordered_at >= date_sub(current_date(), ${window_days})
GROUP BY c.customer_id;
