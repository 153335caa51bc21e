-- A small shop, as a script for SQLite.
--
-- It loads with     sql-batcher run --database sqlite://shop.db examples/demo.sql
-- and `cargo xtask demo` does that for you. The script is what real ones are like: comments;
-- semicolons where none ends a statement; a transaction of its own; triggers with a body.

PRAGMA foreign_keys = ON;

------------------------------------------------------------------------ tables

CREATE TABLE customers (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    email   TEXT NOT NULL UNIQUE COLLATE NOCASE,
    city    TEXT NOT NULL,
    joined  TEXT NOT NULL CHECK (joined LIKE '____-__-__'),
    notes   TEXT NOT NULL DEFAULT ''
);

CREATE TABLE products (
    id      INTEGER PRIMARY KEY,
    sku     TEXT NOT NULL UNIQUE,
    name    TEXT NOT NULL,
    cents   INTEGER NOT NULL CHECK (cents > 0),   -- money is counted, never rounded
    stock   INTEGER NOT NULL CHECK (stock >= 0)
);

CREATE TABLE orders (
    id           INTEGER PRIMARY KEY,
    customer_id  INTEGER NOT NULL REFERENCES customers (id),
    ordered      TEXT NOT NULL,
    status       TEXT NOT NULL DEFAULT 'open'
                 CHECK (status IN ('open', 'paid', 'sent', 'returned'))
);

CREATE TABLE order_lines (
    order_id    INTEGER NOT NULL REFERENCES orders (id),
    product_id  INTEGER NOT NULL REFERENCES products (id),
    quantity    INTEGER NOT NULL CHECK (quantity > 0),
    cents       INTEGER,           -- for one piece, on the day of the order: see the trigger
    PRIMARY KEY (order_id, product_id)
) WITHOUT ROWID;

CREATE TABLE journal (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    text  TEXT NOT NULL
);

CREATE INDEX orders_by_customer ON orders (customer_id, ordered);
CREATE INDEX "lines by product" ON order_lines (product_id);

---------------------------------------------------------------------- triggers
-- Everything from CREATE to the last END; is one statement, whatever stands between.

CREATE TRIGGER line_is_ordered AFTER INSERT ON order_lines
BEGIN
    -- The price of today; a later change of the catalogue must not change the order.
    UPDATE order_lines
       SET cents = (SELECT cents FROM products WHERE id = NEW.product_id)
     WHERE order_id = NEW.order_id AND product_id = NEW.product_id AND cents IS NULL;
    UPDATE products SET stock = stock - NEW.quantity WHERE id = NEW.product_id;
    INSERT INTO journal (text)
    SELECT CASE
               WHEN stock = 0 THEN 'sold out; order more: ' || name
               WHEN stock < 5 THEN 'only ' || stock || ' left: ' || name
           END
      FROM products
     WHERE id = NEW.product_id AND stock < 5;
END;

CREATE TRIGGER order_changes AFTER UPDATE OF status ON orders
WHEN OLD.status <> NEW.status
BEGIN
    INSERT INTO journal (text)
    VALUES ('order ' || NEW.id || ': ' || OLD.status || ' → ' || NEW.status ||
            CASE NEW.status WHEN 'returned' THEN '; stock is put back' ELSE '' END);
    UPDATE products
       SET stock = stock + (SELECT quantity FROM order_lines
                             WHERE order_id = NEW.id AND product_id = products.id)
     WHERE NEW.status = 'returned'
       AND id IN (SELECT product_id FROM order_lines WHERE order_id = NEW.id);
END;

-------------------------------------------------------------------------- view

CREATE VIEW best_customers AS
SELECT customers.name AS customer,
       customers.city,
       count(DISTINCT orders.id) AS orders,
       sum(order_lines.quantity) AS pieces,
       printf('%.2f', sum(order_lines.quantity * order_lines.cents) / 100.0) AS euro
  FROM customers
  JOIN orders ON orders.customer_id = customers.id AND orders.status <> 'returned'
  JOIN order_lines ON order_lines.order_id = orders.id
 GROUP BY customers.id
 ORDER BY sum(order_lines.quantity * order_lines.cents) DESC, customers.id
 LIMIT 5;

------------------------------------------------------------- customers: one by one

INSERT INTO customers VALUES (1, 'Ada Lovelace', 'ada@example.org', 'London', '2023-01-10', '');
INSERT INTO customers VALUES (2, 'Miles O''Brien', 'miles@example.org', 'Dublin', '2023-02-14', 'signs as "the Chief"; wants no newsletter');
INSERT INTO customers VALUES (3, 'Zoë Müller-Lüdenscheidt', 'zoe@example.org', 'Köln', '2023-03-01', 'bell is broken; knock -- loudly');
INSERT INTO customers VALUES (4, '山田 花子', 'hanako@example.org', '東京', '2023-03-21', '包装は簡単に 🎁');
INSERT INTO customers VALUES (5, 'Søren Ångström', 'soren@example.org', 'Århus', '2023-04-02', '');
INSERT INTO customers VALUES (6, 'Robert''); DROP TABLE customers; --', 'bobby@example.org', 'Springfield', '2023-04-28', 'that really is the name');
INSERT INTO customers VALUES (7, 'Παναγιώτης Νικολάου', 'panos@example.org', 'Θεσσαλονίκη', '2023-05-05', '');
INSERT INTO customers VALUES (8, 'Chloé d''Aubigné', 'chloe@example.org', 'Lyon', '2023-06-17', 'C:\gifts\ is her list of wishes, backslash included');
INSERT INTO customers VALUES (9, 'Ivana Dvořáková', 'ivana@example.org', 'Brno', '2023-07-30', 'code for the door: ''4711''');
INSERT INTO customers VALUES (10, 'Tiago Conceição', 'tiago@example.org', 'Porto', '2023-08-08', 'a note
in three lines;
with a semicolon at the end of the second');
INSERT INTO customers VALUES (11, 'Nguyễn Thị Minh', 'minh@example.org', 'Huế', '2023-09-09', '');
INSERT INTO customers VALUES (12, 'Grace Hopper', 'grace@example.org', 'Arlington', '2023-12-09', '/* not a comment */');
INSERT INTO customers VALUES (13, 'A. Test; delete me', 'test@example.org', 'Nowhere', '2023-12-31', '');

---------------------------------------------------------- products: many at a time

INSERT INTO products (id, sku, name, cents, stock) VALUES
    (1, 'TEA-001', 'Darjeeling, first flush, 100 g', 1290, 40),
    (2, 'TEA-002', 'Earl Grey, 250 g', 990, 60),
    (3, 'TEA-003', '玄米茶 (roasted rice tea), 200 g', 1150, 12),
    (4, 'POT-001', 'Tea pot, cast iron, 0.8 l', 6490, 6),
    (5, 'POT-002', 'Tea pot, glass; dishwasher-safe', 3290, 9),
    (6, 'CUP-001', 'Cup "Blue Onion"', 1450, 48),
    (7, 'CUP-002', 'Mug, 0.4 l, says ''¡Buenos días!''', 1190, 30),
    (8, 'ACC-001', 'Strainer, stainless steel', 590, 25),
    (9, 'ACC-002', 'Kettle thermometer, °C', 1890, 4),
    (10, 'BOX-001', 'Surprise box 🎁☕', 4900, 10);

INSERT INTO products (id, sku, name, cents, stock) VALUES
    (11, 'BIS-001', 'Biscuits with butter (really)', 450, 80),
    (12, 'BIS-002', 'Biscuits without; still good', 450, 80),
    (13, 'HON-001', 'Honey, lime tree, 500 g', 890, 22),
    (14, 'SUG-001', 'Candy sugar, brown, 1 kg', 520, 35),
    (15, 'BOK-001', 'Book: "Tea; A History" -- 2nd ed.', 2495, 7);

------------------------------------------------- the orders of a year: all or nothing
-- A transaction of the script's own. It is applied as it stands: whole, or not at all.

BEGIN TRANSACTION;

INSERT INTO orders (id, customer_id, ordered) VALUES (1001, 1, '2024-01-08');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1001, 1, 2), (1001, 4, 1), (1001, 8, 1);

INSERT INTO orders (id, customer_id, ordered) VALUES (1002, 2, '2024-01-19');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1002, 2, 3), (1002, 7, 2);

INSERT INTO orders (id, customer_id, ordered) VALUES (1003, 3, '2024-02-02');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1003, 5, 1), (1003, 3, 1), (1003, 11, 4);

INSERT INTO orders (id, customer_id, ordered) VALUES (1004, 4, '2024-02-14');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1004, 10, 2), (1004, 3, 4);

INSERT INTO orders (id, customer_id, ordered) VALUES (1005, 6, '2024-03-03');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1005, 9, 1);

INSERT INTO orders (id, customer_id, ordered) VALUES (1006, 5, '2024-03-15');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1006, 6, 6), (1006, 14, 2);

INSERT INTO orders (id, customer_id, ordered) VALUES (1007, 1, '2024-04-01');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1007, 15, 1), (1007, 12, 6);

INSERT INTO orders (id, customer_id, ordered) VALUES (1008, 8, '2024-04-22');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1008, 6, 12), (1008, 1, 3), (1008, 13, 2);

INSERT INTO orders (id, customer_id, ordered) VALUES (1009, 7, '2024-05-09');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1009, 2, 1), (1009, 13, 6);

INSERT INTO orders (id, customer_id, ordered) VALUES (1010, 9, '2024-06-30');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1010, 4, 2), (1010, 8, 2), (1010, 2, 2);

INSERT INTO orders (id, customer_id, ordered) VALUES (1011, 4, '2024-08-15');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1011, 3, 7);   -- the last ones

INSERT INTO orders (id, customer_id, ordered) VALUES (1012, 12, '2024-09-09');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1012, 15, 5), (1012, 1, 1);

INSERT INTO orders (id, customer_id, ordered) VALUES (1013, 10, '2024-10-01');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1013, 11, 10), (1013, 12, 10), (1013, 2, 2);

INSERT INTO orders (id, customer_id, ordered) VALUES (1014, 11, '2024-11-11');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1014, 9, 3);

INSERT INTO orders (id, customer_id, ordered) VALUES (1015, 2, '2024-12-06');
INSERT INTO order_lines (order_id, product_id, quantity) VALUES (1015, 10, 3), (1015, 7, 4), (1015, 11, 6);

COMMIT;

------------------------------------------------------------- what became of them

UPDATE orders SET status = 'paid' WHERE ordered < '2024-12-01';
UPDATE orders SET status = 'sent' WHERE status = 'paid' AND ordered < '2024-10-15';
UPDATE orders SET status = 'returned' WHERE id = 1012;   /* five copies of one book; four too many */

-- Prices rise; what was ordered keeps its own: the trigger saw to that.
UPDATE products SET cents = CASE WHEN sku LIKE 'TEA-%' THEN cents + 100 ELSE cents + 50 END;

INSERT INTO products (id, sku, name, cents, stock)
VALUES (2, 'TEA-002', 'Earl Grey, 250 g', 990, 60)
    ON CONFLICT (id) DO UPDATE SET stock = stock + excluded.stock;

DELETE FROM customers
 WHERE id NOT IN (SELECT customer_id FROM orders)
   AND notes = '';

INSERT INTO journal (text) VALUES ('done; ' || (SELECT count(*) FROM orders) || ' orders 🎉');

-- The end; no statement follows, and this comment is not one.
