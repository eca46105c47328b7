-- One row for each customer: the newest.
INSERT OVERWRITE TABLE customers PARTITION (dt = '${biz_date}')
SELECT customer_id, full_name, country, region, created_at
FROM (
    SELECT
        customer_id,
        trim(full_name) AS full_name,
        upper(country) AS country,
        region,
        created_at,
        row_number() OVER (PARTITION BY customer_id ORDER BY updated_at DESC) AS age
    FROM customers_raw
    WHERE dt = '${biz_date}'
) AS newest
WHERE age = 1;
