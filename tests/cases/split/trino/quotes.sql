SELECT 'a;b', 'it''s; fine', '', ''';''';
SELECT "a;b", "say ""x;y""" FROM "t;";
SELECT '-- no comment', '/* nor this */';
SELECT 'over
two lines;
and three';
