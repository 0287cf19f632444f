import { Anchor } from '@mantine/core'
import { Link } from 'wouter'
import { Empty } from '~/parts/Empty'
import { Page } from '~/parts/Page'

/** An address that no page has. */
export function Missing() {
  return (
    <Page title="Not found">
      <div className="pc-card">
        <Empty
          title="There is no such page"
          more={
            <div style={{ textAlign: 'center' }}>
              <Anchor component={Link} href="/">
                Go to the home page
              </Anchor>
            </div>
          }
        >
          Nothing has the address <code>{location.pathname}</code>. It may have been mistyped, or belongs to a newer version.
        </Empty>
      </div>
    </Page>
  )
}
