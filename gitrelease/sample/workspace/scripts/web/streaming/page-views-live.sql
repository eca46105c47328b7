INSERT INTO page_views_per_minute
SELECT
    page,
    TUMBLE_START(ts, INTERVAL '${window_minutes}' MINUTE) AS minute_start,
    COUNT(*) AS views,
    COUNT(DISTINCT visitor_id) AS visitors
FROM clicks
WHERE event = 'page_view'
GROUP BY page, TUMBLE(ts, INTERVAL '${window_minutes}' MINUTE);
