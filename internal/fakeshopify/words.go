package fakeshopify

// kind is a sort of product with what varies about it.
type kind struct {
	name, root, category string
	nouns, sizes         []string
}

func (k kind) taxonomy() *Category {
	return &Category{GID: "gid://shopify/TaxonomyCategory/" + k.category, Name: k.name, FullName: k.root + " > " + k.name}
}

var (
	clothes = []string{"XS", "S", "M", "L", "XL", "XXL"}
	kinds   = []kind{
		{"Shirts", "Apparel & Accessories > Clothing", "aa-1-13-7", []string{"Oxford Shirt", "Linen Shirt", "T-Shirt", "Polo", "Flannel Shirt"}, clothes},
		{"Knitwear", "Apparel & Accessories > Clothing", "aa-1-13-12", []string{"Wool Sweater", "Cardigan", "Roll-Neck", "Beanie"}, clothes},
		{"Trousers", "Apparel & Accessories > Clothing", "aa-1-12", []string{"Chinos", "Jeans", "Cord Trousers", "Shorts"}, []string{"28", "30", "32", "34", "36", "38"}},
		{"Shoes", "Apparel & Accessories", "aa-8", []string{"Sneakers", "Chelsea Boots", "Sandals", "Derby Shoes"}, []string{"36", "37", "38", "39", "40", "41", "42", "43", "44", "45"}},
		{"Kitchen", "Home & Garden", "hg-11", []string{"Enamel Mug", "Cast Iron Pan", "Chef's Knife", "Mixing Bowl", "Tea Towel"}, []string{"Small", "Medium", "Large", "½ l", "1 l"}},
		{"Coffee", "Food, Beverages & Tobacco", "fb-1-3", []string{"Espresso Blend", "Filter Roast", "Decaf", "Single Origin"}, []string{"250 g", "500 g", "1 kg"}},
		{"Stationery", "Office Supplies", "os-10", []string{"Notebook", "Fountain Pen", "Desk Planner", "Sketch Pad"}, []string{"A6", "A5", "A4", "A3"}},
		{"Furniture", "Home & Garden", "fr-1", []string{"Side Table", "Stool", "Bookshelf", "Floor Lamp"}, []string{"40 cm", "60 cm", "80 cm", "120 cm"}},
		{"Bags", "Apparel & Accessories", "aa-5", []string{"Backpack", "Weekender", "Tote Bag", "Belt Bag"}, []string{"8 l", "16 l", "24 l", "40 l"}},
		{"Skin Care", "Health & Beauty", "hb-3-2-9", []string{"Hand Cream", "Face Oil", "Soap Bar", "Bath Salt"}, []string{"30 ml", "50 ml", "100 ml"}},
	}

	adjectives = []string{"Classic", "Everyday", "Heavyweight", "Slim", "Relaxed", "Brushed", "Waxed", "Recycled",
		"Hand-made", "Organic", "Vintage", "Matte", "Folding", "Travel", "Winter", "Summer", "Café", "Naïve"}
	lines = []string{"Northshore", "Atelier", "Harbour", "Field", "Studio", "Meridian", "Alba", "Tideway", "Juniper",
		"Foundry", "Lark", "Orchard", "Solstice", "Kestrel", "Smørrebrød", "Zażółć"}
	foreign = []string{"日本語", "футболка", "שָׁלוֹם", "Größe ½", "👕", "مقاس", "Ünïcødé", "한국어"}
	vendors = []string{"Acme Supply", "Northshore & Sons", "Atelier Über", "Harbour Goods", "Field/Studio", "Maison Élan",
		"Kestrel Works", "Orchard Ltd.", "Tanaka 商店", "Foundry No. 9"}
	colors = []string{"Black", "White", "Navy", "Olive", "Ecru", "Burgundy", "Rosé", "Charcoal", "Sky Blue", "Mustard",
		"Forest", "Rust"}
	materials = []string{"Cotton", "Linen", "Wool", "Leather", "Canvas", "Oak", "Steel", "Ceramic"}
	tagWords  = []string{"new", "sale", "summer", "winter", "gift", "bestseller", "vegan", "mens", "womens", "unisex",
		"Made in Portugal", "b2b", "outlet", "naïve", "日本", "a'b", "\"quoted\"", "limited/2026", "R&D", "eco"}
	sentences = []string{
		"Made in small batches and finished by hand, so no two are quite the same.",
		"It softens with every wash and keeps its shape for years.",
		"We tested it for a whole winter before we dared to sell it.",
		"A quiet piece that goes with everything you already own.",
		"Packed without plastic; the box is made of recycled board.",
		"If it breaks, send it back and we mend it < 14 days, free of charge.",
		"Designed with our friends in Porto, Łódź and Kyōto.",
		"Fits true to size; take one size up for a looser cut.",
	}
	bullets = []string{"100% organic cotton, 220 g/m²", "Machine wash at 30°C", "Ships within 2 working days",
		"Double-stitched seams", "Dishwasher safe (top rack)", "Weight: < 1 kg", "5-year guarantee",
		"Width × depth × height: 40 × 30 × 20 cm", "Roasted every Tuesday & Thursday", "FSC® certified"}
)
