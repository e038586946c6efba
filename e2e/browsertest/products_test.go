package browsertest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"stockroom/internal/fakeshopify"
)

// special makes a product that a search can find by each of its marks.
func special(a *app) fakeshopify.Product {
	return a.shop.CreateProduct(func(p *fakeshopify.Product) {
		p.Title = `Heron <script>document.title = "broken"</script> lamp`
		p.Variants = p.Variants[:1]
		p.Variants[0].SKU, p.Variants[0].Barcode = new("HERON-1"), new("4006381333931")
	})
}

func TestAProductIsFoundAndOpened(t *testing.T) {
	bothWays(t, func(t *testing.T, script bool) {
		a := newApp(t, appOptions{Products: 5})
		want := special(a)
		for range 60 { // more than one page of them
			a.shop.CreateProduct(nil)
		}
		a.deliver()
		p := a.visit(t)
		p.script(script)
		path := fmt.Sprintf("/products/%s/%d", shopName, want.ID)
		for _, query := range []string{"heron", "HERON-1", "4006381333931", fmt.Sprint(want.ID)} {
			p.open("/products")
			p.fill("q", query)
			p.press(kb.Enter)
			p.until(`new URLSearchParams(location.search).get("q") === ` + quote(query))
			p.until(`document.querySelectorAll("#products li").length === 1`)
			p.click("#products", "Heron <script>")
			p.at(path)
		}
		p.shows("HERON-1")
		p.shows("Why it is as it is")
		if n := value[int](p, `document.querySelectorAll("main script, main img").length`); n != 0 {
			t.Errorf("%d elements were made of a product's text", n)
		}
		if title := value[string](p, "document.title"); title == "broken" {
			t.Error("the text of a product ran as a script")
		}

		a.shop.UpdateProduct(want.ID, func(p *fakeProduct) { p.Vendor = "Told by nobody" })
		a.shop.Forget()
		p.click("main", "Read again from Shopify")
		p.shows("It is read from Shopify again")
		await(t, "the product is read", func() bool {
			var doc struct{ Vendor string }
			a.api(http.MethodGet, "/api/v1"+path, "", &doc)
			return doc.Vendor == "Told by nobody"
		})

		p.open("/products?q=no-such-thing-anywhere")
		p.shows("No product fits.")
		p.open("/products")
		first := value[string](p, `document.querySelector("#products li a").href`)
		p.click(".pager", "Next")
		p.until(`document.querySelector("#products li a").href !== ` + quote(first))
		p.click(".pager", "Previous")
		p.until(`document.querySelector("#products li a").href === ` + quote(first))
	})
}

// A product that the shop edits while its page is open shows the edit.
func TestAProductsPageFollowsTheShop(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{})
	product := special(a)
	a.deliver()
	p := a.visit(t)
	p.open(fmt.Sprintf("/products/%s/%d", shopName, product.ID))
	p.until(`document.getElementById("live").innerText.includes("Live")`)
	a.shop.UpdateProduct(product.ID, func(p *fakeshopify.Product) { p.Variants[0].SKU = new("HERON-2") })
	a.deliver()
	p.shows("HERON-2")
}
